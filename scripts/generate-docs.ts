/** Writes what is generated below docs/. Tests keep it up to date. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { metricsMarkdown } from '../src/api/metrics-documentation.ts';
import { configurationMarkdown, configurationSchemaText } from '../src/config/documentation.ts';

const DOCUMENTS = {
  'docs/configuration.md': configurationMarkdown,
  'docs/configuration.schema.json': configurationSchemaText,
  'docs/metrics.md': metricsMarkdown,
};

for (const [name, text] of Object.entries(DOCUMENTS)) {
  writeFileSync(join(import.meta.dirname, '..', name), text());
  console.log(`${name} is written`);
}
