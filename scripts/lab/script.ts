/** A script around a lab: signals end it cleanly, whatever it is doing. */
import { Lab } from './lab.ts';

const SIGNALS = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 } as const;

/**
 * Runs `work` with a lab and ends the process with the code it returns. SIGINT, SIGTERM and SIGHUP
 * abort `stopped`; `work` then has no more to do than to settle, or not even that.
 *
 * @param codeWhenStopped exit code after a signal; default 128 + its number
 */
export async function runScript(
  work: (lab: Lab, stopped: AbortSignal) => Promise<number>,
  codeWhenStopped?: () => number,
): Promise<never> {
  const stop = new AbortController();
  let code = 1;
  try {
    const lab = Lab.open();
    const stopped = new Promise<number>((resolve) => {
      for (const [signal, number] of Object.entries(SIGNALS)) {
        process.on(signal, () => {
          stop.abort();
          resolve(codeWhenStopped?.() ?? 128 + number);
        });
      }
    });
    try {
      code = await Promise.race([work(lab, stop.signal), stopped]);
    } finally {
      await lab.close();
    }
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
  }
  process.exit(code);
}
