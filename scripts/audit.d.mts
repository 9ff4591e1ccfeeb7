/** What npm has printed: one line about it, and whether versions are known to be bad. */
export function verdict(printed: string): { readonly bad: boolean; readonly line: string };
