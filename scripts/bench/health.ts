/** Health checks per second that the leader's daemon answers. The generator shares the machine. */
import { generateLoad } from './load.ts';
import type { Measurement } from './measurement.ts';

export const health: Measurement = {
  rows: ['health'],
  settings: 'default',
  round: async (stage) => {
    const primary = await stage.settled();
    stage.freezeChecks();
    const { perSecond, reconnections, failures } = await generateLoad({
      port: primary.restPort,
      path: '/primary',
      connections: 8,
      warmUpMs: 1000,
      countMs: 4000,
    });
    return { samples: { health: { value: perSecond, details: { reconnections, failures } } } };
  },
};
