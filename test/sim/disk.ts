/** What survives every crash of a node: the data directory and the agent's state directory. */

import type { ControlState } from '../../src/core/model.ts';
import type { NodeJournal } from '../../src/node-journal.ts';
import { readSetting } from '../../src/postgres/conftext.ts';
import { type History, Wal } from './wal.ts';

export interface ControlData {
  state: ControlState;
  /** Of the latest checkpoint. */
  timeline: number;
  checkpointLsn: number;
  minRecoveryEndLsn: number;
  minRecoveryEndTimeline: number;
}

export interface Marker {
  readonly kind: 'bootstrap' | 'clone' | 'rewind';
  /** The work is done beside the data directory, which stays as it is until the end. */
  readonly beside: boolean;
  /** Work that never finished in the directory that a copy beside it is to replace. */
  readonly replaces?: Marker['kind'] | null;
}

/** What is left of a marker whose copy came to nothing: the directory is again what it was. */
export function abandoned(marker: Marker | null): Marker | null {
  if (marker?.beside !== true) return marker;
  return marker.replaces ? { kind: marker.replaces, beside: false } : null;
}

export class Disk {
  kind: 'empty' | 'cluster' = 'empty';
  systemIdentifier = '';
  wal = new Wal();
  histories = new Map<number, History>();
  control: ControlData = freshControl();
  standbySignal = false;
  /** Name of the node that primary_conninfo points at. */
  upstream: string | null = null;
  incarnation: string | null = null;
  slots = new Map<string, number>();
  /** postgresql.conf, of what matters here; empty: none was written. */
  conf = '';
  /** The truth about it: in pieces, by what. Only the simulator knows; the agent has its marker. */
  broken: 'clone' | 'rewind' | 'bootstrap' | null = null;
  /** In the state directory. */
  marker: Marker | null = null;
  /** The agent's journal, in the state directory. */
  journal: NodeJournal['node'] = {
    promotedHere: [],
    leaseId: null,
    promise: null,
  };
  /** The copy of `/config` in the data directory. */
  config: Readonly<Record<string, unknown>> | null = null;

  /** What the configuration file says, and so the next start. */
  get synchronousNames(): string {
    return readSetting(this.conf, 'synchronous_standby_names') ?? '';
  }

  empty(): void {
    this.conf = '';
    this.kind = 'empty';
    this.systemIdentifier = '';
    this.wal = new Wal();
    this.histories = new Map();
    this.control = freshControl();
    this.standbySignal = false;
    this.upstream = null;
    this.slots = new Map();
    this.broken = null;
    this.config = null;
  }

  /** A new, empty disk in place of the old one. */
  replace(): void {
    this.empty();
    this.incarnation = null;
    this.marker = null;
    this.journal = { promotedHere: [], leaseId: null, promise: null };
  }
}

function freshControl(): ControlData {
  return {
    state: 'shut down',
    timeline: 1,
    checkpointLsn: 0,
    minRecoveryEndLsn: 0,
    minRecoveryEndTimeline: 0,
  };
}
