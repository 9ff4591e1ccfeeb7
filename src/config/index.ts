/** What the rest of the daemon may use of the configuration. */
export { changedAtStartOnly } from './at-start.ts';
export { dynamicFaults } from './check.ts';
export { type Effective, effectiveSettings, initialDynamicConfiguration } from './effective.ts';
export { ConfigError } from './errors.ts';
export { configOf, sampleConfig } from './generate.ts';
export { keepLastGood, lastGood } from './last-good.ts';
export { type Config, type Loaded, loadConfig } from './load.ts';
export {
  postgresOptions,
  restAccess,
  restOptions,
  type StoreOptions,
  secretsOf,
  storeOptions,
} from './parts.ts';
export { printConfig } from './printing.ts';
