/** Certificates for tests, made with openssl when they are needed. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Files in PEM. */
export interface Certificate {
  readonly certfile: string;
  readonly keyfile: string;
}

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];

function openssl(args: readonly string[]): void {
  execFileSync('openssl', args, { stdio: 'pipe' });
}

/** An authority of its own; nobody trusts it who is not told to. */
export class Authority {
  /** Its certificate. */
  readonly file: string;
  readonly #key: string;
  readonly #folder: string;

  /** @param folder where all of it is kept; made when missing */
  constructor(folder: string, name = 'ca') {
    mkdirSync(folder, { recursive: true });
    this.#folder = folder;
    this.file = join(folder, `${name}.pem`);
    this.#key = join(folder, `${name}.key`);
    const files = ['-keyout', this.#key, '-out', this.file];
    openssl(['req', '-x509', ...KEY, '-noenc', '-days', '30', '-subj', `/CN=${name}`, ...files]);
  }

  /**
   * A certificate for servers and clients.
   * @param options.names DNS names and addresses that it is good for; default: 127.0.0.1 and localhost
   * @param options.password of its key, which is then encrypted
   */
  issue(
    name: string,
    options: { readonly names?: readonly string[]; readonly password?: string } = {},
  ): Certificate {
    const path = (ending: string): string => join(this.#folder, `${name}.${ending}`);
    const { names = ['127.0.0.1', 'localhost'], password } = options;
    const encrypted = password === undefined ? ['-noenc'] : ['-passout', `pass:${password}`];
    const files = ['-keyout', path('key'), '-out', path('csr')];
    openssl(['req', ...KEY, ...encrypted, '-subj', `/CN=${name}`, ...files]);
    const alternatives = names.map((one) => (/^[\d.]+$|:/.test(one) ? `IP:${one}` : `DNS:${one}`));
    writeFileSync(
      path('ext'),
      `subjectAltName=${alternatives.join(',')}\nextendedKeyUsage=serverAuth,clientAuth\n`,
    );
    const serial = `0x${randomBytes(8).toString('hex')}`;
    const signing = ['-CA', this.file, '-CAkey', this.#key, '-set_serial', serial];
    openssl(
      ['x509', '-req', '-days', '30', '-in', path('csr'), '-out', path('pem')].concat(
        ['-extfile', path('ext')],
        signing,
      ),
    );
    return { certfile: path('pem'), keyfile: path('key') };
  }
}
