/** Where the demo's picture goes: redrawn in place on a terminal, otherwise a line on each change. */

export interface Screen {
  /** A line that stays. */
  say(line: string): void;
  /** The picture of this moment; `change` differs from the last one when something happened. */
  show(picture: readonly string[], change: string): void;
  close(): void;
}

export function openScreen(out: NodeJS.WriteStream): Screen {
  return out.isTTY ? terminal(out) : lines(out);
}

function lines(out: NodeJS.WriteStream): Screen {
  let last = '';
  return {
    say: (line) => void out.write(`${line}\n`),
    show: (_, change) => {
      if (change === last) return;
      last = change;
      out.write(`${new Date().toISOString().slice(11, 23)} ${change}\n`);
    },
    close: () => {},
  };
}

function terminal(out: NodeJS.WriteStream): Screen {
  let drawn = 0;
  const erase = () => {
    if (drawn > 0) out.write(`\x1b[${drawn}A\x1b[J`);
    drawn = 0;
  };
  return {
    say: (line) => {
      erase();
      out.write(`${line}\n`);
    },
    show: (picture) => {
      // A line longer than the terminal is wide would wrap, and the picture could not be taken back.
      const width = out.columns || 80;
      const fitting = picture.slice(0, Math.max(1, (out.rows || 40) - 1));
      const text = fitting.map((line) => `${line.slice(0, width - 1)}\n`).join('');
      const back = drawn > 0 ? `\x1b[${drawn}A\x1b[J` : '';
      out.write(`\x1b[?25l${back}${text}`);
      drawn = fitting.length;
    },
    close: () => void out.write('\x1b[?25h'),
  };
}
