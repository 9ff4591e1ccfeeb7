/** One guard against a known bug, and the change that takes it away. */
export interface Guard {
  /** Number of the bug in the field's list. */
  readonly id: string;
  readonly fault: string;
  readonly rule: string;
  readonly test: string;
  /** Part of the test's name. */
  readonly name: string;
  readonly file: string;
  /** Found exactly once in the file, and replaced. */
  readonly guard: string;
  readonly without: string;
  /** Needs real servers and an unprivileged user. */
  readonly real?: true;
}
