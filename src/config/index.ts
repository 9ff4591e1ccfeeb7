/** What the rest of the daemon may use of the configuration. */
export { dynamicFaults } from './check.ts';
export { type Effective, effectiveSettings, initialDynamicConfiguration } from './effective.ts';
export { ConfigError } from './errors.ts';
export { type Config, type Loaded, loadConfig } from './load.ts';
export {
  callbackCommands,
  postgresOptions,
  restAccess,
  restOptions,
  type StoreOptions,
  scriptCommands,
  secretsOf,
  storeOptions,
} from './parts.ts';
