/** Where the processes of a lab's member run: on this machine's loopback, or in a network of its own. */

export interface Place {
  /** It listens here and is reached here. */
  readonly address: string;
  /** Command that starts another one there; empty: as it is. */
  readonly enter: readonly string[];
  /** A mounted folder for the data directory; default: the node's own folder. */
  readonly disk?: string;
}

export const LOOPBACK: Place = { address: '127.0.0.1', enter: [] };
