/** An operator's side for tests: a store that holds one view, peers that answer, requests that are noted. */
import { expect } from 'vitest';
import type { Operator } from '../../src/api/operator.ts';
import { startApi } from '../../src/api/server.ts';
import { RealClock } from '../../src/clock.ts';
import type { ClusterView, PeerFacts, RequestAnswer } from '../../src/core/model.ts';
import { Requests } from '../../src/requests.ts';
import type { Snapshot } from '../../src/status.ts';
import type { NewFailover } from '../../src/store/store.ts';
import * as given from '../core/observations.ts';
import { opened } from './serving.ts';
import { primary, view } from './snapshots.ts';

export class Scene {
  view: ClusterView = view({ failover: null, sync: null });
  snapshot: Snapshot = primary({ settings: { ...primary().settings, synchronousMode: 'off' } });
  answers: PeerFacts[] = ['n2', 'n3'].map((name) => given.peer(name, 67508992));
  readonly written: NewFailover[] = [];
  readonly configs: Readonly<Record<string, unknown>>[] = [];
  /** What becomes of a request once it is written. */
  onFailover: (request: NewFailover) => void = () => undefined;
  answer: RequestAnswer = { status: 200, text: 'restarted successfully', why: null };
  faults: readonly string[] = [];
  free = true;
  reloads = 0;
  access: ReturnType<Operator['access']> = {
    credentials: null,
    allowlist: null,
    includeMembers: false,
    clientCertificates: false,
  };
  readonly requests = new Requests(() => {
    const { waiting } = this.requests;
    if (waiting !== null) this.requests.settle(waiting.id, this.answer);
  });
  readonly promises: unknown[] = [];
  /** What is said to a leader that asks to go on; null: it may. */
  refusal: { status: number; text: string } | null = null;
  readonly #listeners = new Set<() => void>();

  change(view: Partial<ClusterView>): void {
    this.view = { ...this.view, ...view };
    for (const listener of [...this.#listeners]) listener();
  }

  get operator(): Operator {
    return {
      clock: new RealClock(),
      store: {
        read: async () => this.view,
        writeFailover: async (request) => {
          if (!this.free) return false;
          this.written.push(request);
          this.view = { ...this.view, failover: { ...request, modRevision: 20 } };
          setImmediate(() => this.onFailover(request));
          return true;
        },
        deleteFailover: async () => this.free,
        replaceConfig: async (config) => {
          if (this.free) this.configs.push(config);
          return this.free;
        },
      },
      peers: {
        ask: async (members) =>
          members.map(
            ({ name }) =>
              this.answers.find((answer) => answer.name === name) ??
              (name === this.view.leader?.name
                ? given.peer(name, 67508992, { inRecovery: false })
                : given.silent(name)),
          ),
      },
      requests: this.requests,
      snapshot: () => this.snapshot,
      onChange: (listener) => {
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
      },
      hint: () => undefined,
      checkConfig: () => this.faults,
      agree: async (request) => {
        this.promises.push(request);
        return this.refusal;
      },
      reload: () => {
        this.reloads += 1;
      },
      access: () => this.access,
    };
  }

  /** `name` leads and takes writes. */
  lead(name: string): void {
    const members = this.view.members.map((member) => ({
      ...member,
      role: member.name === name ? 'primary' : 'replica',
    }));
    const leader = { name, leaseId: '2', createRevision: 30, modRevision: 30 };
    this.change({ leader, members, failover: null });
  }
}

export const FUTURE = '2099-12-01T03:00:00+00:00';

export interface Got {
  readonly status: number;
  readonly text: string;
  readonly headers: Headers;
}

export type Ask = (
  method: string,
  path: string,
  body?: unknown,
  headers?: Readonly<Record<string, string>>,
) => Promise<Got>;

export const said = ({ status, text }: Got): [number, string] => [status, text];

/** The API over a scene. */
export async function listen(scene: Scene): Promise<{ readonly port: number; readonly ask: Ask }> {
  const api = await startApi({
    status: { snapshot: () => scene.snapshot },
    host: '127.0.0.1',
    port: 0,
    operator: scene.operator,
    onError: (error) => expect.fail(String(error)),
  });
  opened.push(api);
  const ask: Ask = async (method, path, body, headers = {}) => {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const response = await fetch(`http://127.0.0.1:${api.port}${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body: text }),
    });
    return { status: response.status, text: await response.text(), headers: response.headers };
  };
  return { port: api.port, ask };
}
