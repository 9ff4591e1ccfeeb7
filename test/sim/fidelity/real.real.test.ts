/** The stories of scenarios.ts with real PostgreSQL. */
import { Lab, settings, until } from '../../postgres/lab.ts';
import { describeFidelity, type Rig, type Subject } from './scenarios.ts';

class RealRig implements Rig {
  readonly #lab = new Lab();

  async node(name: string): Promise<Subject> {
    const lab = this.#lab;
    const node = await lab.node(name);
    await node.postgres.configure(settings());
    return {
      name,
      postgres: node.postgres,
      upstream: node.upstream,
      write: async (number) => {
        await lab.ask(node, 'CREATE TABLE IF NOT EXISTS written (number int)');
        await lab.ask(node, `INSERT INTO written VALUES (${number})`);
      },
      rows: async () => {
        const [there] = await lab.ask(node, "SELECT to_regclass('written') IS NOT NULL AS yes");
        if (there?.yes !== true) return [];
        const rows = await lab.ask(node, 'SELECT number FROM written ORDER BY 1');
        return rows.map(({ number }) => number as number);
      },
    };
  }

  until(what: string, holds: () => Promise<boolean>): Promise<void> {
    return until(what, holds, 30_000);
  }

  close(): Promise<void> {
    return this.#lab.close();
  }
}

describeFidelity('the real', () => new RealRig());
