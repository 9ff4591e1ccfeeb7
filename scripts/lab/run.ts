/** Runs a short tool (initdb, etcdctl, …) to its end, with a deadline. */
import { execFile } from 'node:child_process';

export interface RunOptions {
  /** Milliseconds after which the tool is killed; default 20000. */
  readonly deadlineMs?: number;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Text for its standard input. */
  readonly input?: string;
}

/** Its standard output; throws with its standard error when it fails. */
export function run(command: readonly string[], options: RunOptions = {}): Promise<string> {
  const [file, ...args] = command;
  if (file === undefined) throw new Error('no command given');
  return new Promise((resolve, reject) => {
    const child = execFile(
      file,
      args,
      {
        timeout: options.deadlineMs ?? 20_000,
        killSignal: 'SIGKILL',
        maxBuffer: 64 * 1024 * 1024,
        env: { ...process.env, ...options.env },
        ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      },
      (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else reject(new Error(`${command.join(' ')}: ${stderr.trim() || error.message}`));
      },
    );
    // A tool that reads nothing may be gone before this is written; its exit code says how it went.
    child.stdin?.on('error', () => {});
    child.stdin?.on('error', () => {}); // it ended without reading; its exit code tells
    child.stdin?.end(options.input ?? '');
  });
}
