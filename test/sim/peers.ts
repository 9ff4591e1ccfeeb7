/** Asking the other agents over the simulated network, through the real body and the real parser. */
import { withoutAnswers } from '../../src/api/facts.ts';
import { agree } from '../../src/api/failsafe.ts';
import { patroniBody } from '../../src/api/patroni.ts';
import { type Clock, within } from '../../src/clock.ts';
import type { PeerFacts } from '../../src/core/model.ts';
import { type FailsafeAnswer, type PeerAddress, type Peers, parsePeer } from '../../src/peers.ts';
import type { Runtime } from '../../src/runtime.ts';
import type { DaemonProcess } from './process.ts';
import type { World } from './world.ts';

/** As the API waits for a fresh look at PostgreSQL, ms. */
const FRESH_MS = 500;

/** What answers at a node's REST address. */
export interface Api {
  readonly process: DaemonProcess;
  readonly clock: Clock;
  readonly runtime: Runtime;
}

export class SimPeers implements Peers {
  readonly #world: World;
  readonly #node: string;
  readonly #process: DaemonProcess;
  readonly #clock: Clock;
  readonly #api: (name: string) => Api | null;

  constructor(
    world: World,
    node: string,
    own: { readonly process: DaemonProcess; readonly clock: Clock },
    api: (name: string) => Api | null,
  ) {
    this.#world = world;
    this.#node = node;
    this.#process = own.process;
    this.#clock = own.clock;
    this.#api = api;
  }

  ask(members: readonly PeerAddress[], timeoutMs: number): Promise<PeerFacts[]> {
    return Promise.all(
      members.map(async ({ name, apiUrl }) => {
        const host = hostOf(apiUrl);
        const text = host === null ? null : await this.#get(host, timeoutMs);
        const why = host === null ? 'it publishes no api_url' : 'no answer in time';
        return { name, answer: text === null ? { known: false, why } : parsePeer(name, text) };
      }),
    );
  }

  async liveness(apiUrl: string, timeoutMs: number): Promise<boolean> {
    const host = hostOf(apiUrl);
    return host !== null && (await this.#get(host, timeoutMs)) !== null;
  }

  failsafe(
    members: readonly PeerAddress[],
    body: Readonly<Record<string, unknown>>,
    timeoutMs: number,
  ): Promise<FailsafeAnswer[]> {
    return Promise.all(
      members.map(async ({ name, apiUrl }) => {
        const host = hostOf(apiUrl);
        const reply =
          host === null
            ? null
            : await this.#exchange(host, timeoutMs, ({ runtime }) =>
                agree(
                  {
                    agree: (request) => runtime.failsafe.agree(request),
                    snapshot: () => runtime.status.snapshot(),
                  },
                  body,
                ),
              );
        const accepted = reply?.status === 200;
        const why = reply === null ? 'no answer in time' : String(reply.body);
        const lsn = reply?.headers?.lsn;
        const position = lsn === undefined ? null : Number(lsn);
        return { name, accepted, why: accepted ? '' : why, position };
      }),
    );
  }

  #get(host: string, timeoutMs: number): Promise<string | null> {
    return this.#exchange(host, timeoutMs, answer);
  }

  /** Null: no answer. */
  #exchange<T>(
    host: string,
    timeoutMs: number,
    serve: (api: Api) => Promise<T>,
  ): Promise<T | null> {
    const { network } = this.#world;
    return new Promise((resolve) => {
      const cancel = this.#clock.after(timeoutMs, () => resolve(null));
      const end = (text: T | null): void =>
        this.#process.deliver(() => {
          cancel();
          resolve(text);
        });
      network.send(this.#node, host, () => {
        const api = this.#api(host);
        const machine = this.#world.machine(host);
        if (machine === null || !machine.up) return;
        if (api === null) {
          // Nothing listens there: the machine says so at once.
          if (!machine.frozen) network.send(host, this.#node, () => end(null));
          return;
        }
        api.process.deliver(() => {
          serve(api).then(
            (text) => network.send(host, this.#node, () => end(text)),
            () => undefined,
          );
        });
      });
    });
  }
}

async function answer({ clock, runtime }: Api): Promise<string> {
  const fresh = await within(clock, FRESH_MS, 'looking at PostgreSQL', runtime.freshen()).then(
    () => true,
    () => false,
  );
  const snapshot = runtime.status.snapshot();
  return JSON.stringify(patroniBody(fresh ? snapshot : withoutAnswers(snapshot)));
}

function hostOf(apiUrl: string | null): string | null {
  return /^http:\/\/([^:/]+)/.exec(apiUrl ?? '')?.[1] ?? null;
}
