/** The order in which test files begin: what takes longest first, so that nothing long is left alone at the end. */
import { statSync } from 'node:fs';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return files.toSorted((one, other) => weight(other) - weight(one));
  }
}

/** Schedules take minutes from a file of a few lines; of the others the size says enough. */
function weight({ moduleId }: TestSpecification): number {
  return moduleId.includes('.sim.test.') ? Number.MAX_SAFE_INTEGER : statSync(moduleId).size;
}
