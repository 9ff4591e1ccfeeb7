/** Nobody whom `/failsafe` may name is forgotten (rule S3). */
import { expect, it } from 'vitest';
import { FailsafeList } from '../../src/failsafe/list.ts';
import { ManualClock } from '../store/manual-clock.ts';

const [n1, n2, n3] = ['http://n1/patroni', 'http://n2/patroni', 'http://n3/patroni'];

it('is what was read, and whatever was written since and may have taken effect', () => {
  const clock = new ManualClock();
  const list = new FailsafeList(clock);
  expect(list.whom(null)).toBeNull();
  expect(list.whom({ n1, n2 })).toEqual({ n1, n2 });
  // Its own write has not been read back yet, or its answer never came.
  list.writing({ n1, n3 });
  expect(list.whom({ n1, n2 })).toEqual({ n1, n2, n3 });
  expect(list.whom(null)).toEqual({ n1, n3 });
  // An older write may still be on its way.
  clock.advance(1000);
  list.writing({ n1, n2 });
  expect(list.whom({ n1, n2 })).toEqual({ n1, n2, n3 });
  clock.advance(29_500);
  expect(list.whom({ n1, n2 })).toEqual({ n1, n2 });
  // The last one never grows old.
  clock.advance(100_000);
  expect(list.whom(null)).toEqual({ n1, n2 });
});
