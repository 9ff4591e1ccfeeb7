/** Versions that we publish (design section 4). */

/** Ours. */
export const TENURE_VERSION = '0.1.0';

/** Patroni's protocol, as its peers and tools read it. */
export const PATRONI_PROTOCOL_VERSION = '4.1.4';
