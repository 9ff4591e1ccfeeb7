/** A fact that may be missing. Unknown is never read as absent, empty or zero (rule S4). */
export type Known<T> =
  | { readonly known: true; readonly value: T }
  | { readonly known: false; readonly why: string };
