/** Writes docs/configuration.md from the schema of the configuration. A test keeps it up to date. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { configurationMarkdown } from '../src/config/documentation.ts';

const path = join(import.meta.dirname, '../docs/configuration.md');
writeFileSync(path, configurationMarkdown());
console.log('docs/configuration.md is written');
