/** Connections to the local server: the kept one, and others for work that would block or change it. */
import { clientConfig, localTarget, welcomeLocal } from './connect.ts';
import { databaseOf, type Parts } from './parts.ts';
import { Session } from './session.ts';

/** For a local connection, ms. */
const CONNECT_MS = 1000;

type Needed = Pick<Parts, 'options' | 'places' | 'listen' | 'clock' | 'configuration'>;

/**
 * Not yet connected.
 * @param settings libpq `options`; the kept session's when absent
 */
export function localSession(
  { options, places, listen, clock, configuration }: Needed,
  onEnd: () => void,
  settings?: string,
): Session {
  return new Session({
    clock,
    connectTimeoutMs: CONNECT_MS,
    target: async () => {
      const configured = configuration.settings.parameters.unix_socket_directories;
      const socket = options.useUnixSocket ?? false;
      const target = await localTarget(places, listen, socket, configured);
      const config = clientConfig(target, options.superuser, databaseOf(options), options);
      return settings === undefined ? config : { ...config, options: settings };
    },
    welcome: async (client) => await welcomeLocal(client, clock, places),
    onEnd,
  });
}

/** A session for one piece of work. */
export async function withOwnSession<T>(
  parts: Needed,
  settings: string,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const session = localSession(parts, () => undefined, settings);
  try {
    return await work(session);
  } finally {
    session.close();
  }
}
