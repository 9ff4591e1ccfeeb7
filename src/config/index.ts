/** What the rest of the daemon may use of the configuration. */
export { changedAtStartOnly } from './at-start.ts';
export { dynamicFaults } from './check.ts';
export { type Effective, effectiveSettings, initialDynamicConfiguration } from './effective.ts';
export { ConfigError } from './errors.ts';
export { configOf, sampleConfig } from './generate.ts';
export { keepLastGood, lastGood } from './last-good.ts';
export { type Config, type Loaded, loadConfig } from './load.ts';
export {
  apiUrl,
  peerCredentials,
  postgresOptions,
  restAccess,
  restHeaders,
  restOptions,
  type StoreOptions,
  secretsOf,
  watchdogOptions,
} from './parts.ts';
export { printConfig } from './printing.ts';
export { type PeerTls, type RestTls, readTls, type TlsInForce } from './tls.ts';
