/** Writes docs/configuration.md and its JSON Schema from the schema in src/config/. Tests keep them up to date. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { configurationMarkdown, configurationSchemaText } from '../src/config/documentation.ts';

const folder = join(import.meta.dirname, '../docs');
writeFileSync(join(folder, 'configuration.md'), configurationMarkdown());
writeFileSync(join(folder, 'configuration.schema.json'), configurationSchemaText());
console.log('docs/configuration.md and docs/configuration.schema.json are written');
