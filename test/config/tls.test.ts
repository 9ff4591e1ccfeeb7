/** Certificates and keys that the configuration names: used, or one clear error. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseDocument } from 'yaml';
import { Authority, type Certificate } from '../../scripts/lab/certificates.ts';
import {
  ConfigError,
  type Loaded,
  loadConfig,
  readTls,
  restHeaders,
  secretsOf,
} from '../../src/config/index.ts';
import { file, MINIMAL } from './files.ts';

let base: string;
let ca: Authority;
let own: Certificate;
let locked: Certificate;
let foreign: Certificate;
const at = (name: string): string => join(base, name);

beforeAll(() => {
  base = mkdtempSync(join(tmpdir(), 'tenure-config-tls-'));
  ca = new Authority(base);
  own = ca.issue('own');
  foreign = ca.issue('foreign');
  locked = ca.issue('locked', { password: 'geheim' });
  writeFileSync(at('garbage.pem'), 'nothing of the kind');
  writeFileSync(
    at('damaged.pem'),
    '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
  );
});
afterAll(() => rmSync(base, { recursive: true }));

type Section = Readonly<Record<string, unknown>>;

/** The minimal configuration with sections merged in. */
function load(sections: Readonly<Record<string, Section>>): Loaded {
  const document = parseDocument(MINIMAL);
  for (const [section, values] of Object.entries(sections)) {
    for (const [key, value] of Object.entries(values)) document.setIn([section, key], value);
  }
  return loadConfig(file(String(document)), {});
}

const read = (sections: Readonly<Record<string, Section>>) => readTls(load(sections).config);

function faultOf(sections: Readonly<Record<string, Section>>): string {
  try {
    read(sections);
  } catch (error) {
    if (error instanceof ConfigError) return error.message.replaceAll(base, '');
    throw error;
  }
  return '';
}

describe('what is read', () => {
  it('of each part, with keys of their own or in the same file', () => {
    const { certfile, keyfile } = own;
    const both = at('both.pem');
    writeFileSync(both, [certfile, keyfile].map((name) => readFileSync(name, 'utf8')).join('\n'));
    const tls = read({
      restapi: { certfile: both, cafile: ca.file, verify_client: 'optional' },
      ctl: { certfile: locked.certfile, keyfile: locked.keyfile, keyfile_password: 'geheim' },
      etcd3: { protocol: 'https', cacert: ca.file, cert: both },
    });
    expect(tls.rest).toMatchObject({ verifyClient: 'optional', ca: expect.any(Buffer) });
    expect(tls.peers).toMatchObject({
      passphrase: 'geheim',
      insecure: false,
      names: { authority: `restapi.cafile (${ca.file})`, own: `ctl.certfile (${locked.certfile})` },
    });
    expect(tls.store).toMatchObject({ urls: ['https://127.0.0.1:2379'] });
    expect(tls.store.tls.key).toEqual(tls.store.tls.cert);
    expect(tls.warnings).toEqual([]);
    expect(read({}).rest).toBeNull();
  });

  it('has a warning for a certificate that is about to expire, or has', () => {
    const { config } = load({ restapi: { certfile: own.certfile, keyfile: own.keyfile } });
    const days = (count: number) => new Date(Date.now() + count * 86_400_000);
    const say = (count: number) => readTls(config, days(count)).warnings.join();
    expect(say(1)).toBe('');
    expect(say(20)).toMatch(/^restapi\.certfile: the certificate in .*own\.pem expires on 20/);
    expect(say(40)).toMatch(/has been expired since 20/);
    expect(say(-2)).toMatch(/is not valid before 20/);
  });
});

describe('what cannot be used', () => {
  const rest = (values: Section) => ({ restapi: values });

  it('is named, with its file and what is wrong with it', () => {
    const { certfile, keyfile } = own;
    expect(faultOf(rest({ certfile: at('gone.pem'), keyfile }))).toMatch(
      /^restapi\.certfile:\n {2}\/gone\.pem cannot be read: ENOENT/,
    );
    expect(faultOf(rest({ certfile: at('garbage.pem'), keyfile }))).toBe(
      'restapi.certfile:\n  /garbage.pem holds no certificate in PEM',
    );
    expect(faultOf(rest({ certfile: at('damaged.pem'), keyfile }))).toBe(
      'restapi.certfile:\n  /damaged.pem holds a certificate that cannot be read',
    );
    expect(faultOf(rest({ certfile }))).toBe(
      'restapi.certfile:\n  /own.pem holds no private key in PEM, and restapi.keyfile is not set',
    );
    expect(faultOf(rest({ certfile, keyfile: foreign.keyfile }))).toBe(
      'restapi.keyfile:\n  the key in /foreign.key is not that of the certificate in /own.pem',
    );
    expect(faultOf(rest({ certfile, keyfile, ciphers: 'NONE-OF-THESE' }))).toBe(
      'restapi.ciphers:\n  no cipher of this list is known',
    );
    expect(faultOf({ ctl: { cacert: at('garbage.pem') } })).toBe(
      'ctl.cacert:\n  /garbage.pem holds no certificate in PEM',
    );
    expect(faultOf({ etcd3: { cert: certfile, key: at('garbage.pem') } })).toBe(
      'etcd3.key:\n  /garbage.pem holds no private key in PEM',
    );
  });

  it('is a key without its password, or with another one, which is not shown', () => {
    const { certfile, keyfile } = locked;
    expect(faultOf(rest({ certfile, keyfile }))).toBe(
      'restapi.keyfile:\n  the key in /locked.key is encrypted: restapi.keyfile_password is not set',
    );
    expect(faultOf(rest({ certfile, keyfile, keyfile_password: 'tell-nobody' }))).toBe(
      'restapi.keyfile_password:\n  is not the password of the key in /locked.key',
    );
    expect(faultOf({ etcd3: { cert: certfile, key: keyfile } })).toBe(
      'etcd3.key:\n  the key in /locked.key is encrypted: it has to be without a password',
    );
  });

  it('is a demand for certificates of clients that anybody could get', () => {
    const values = { certfile: own.certfile, keyfile: own.keyfile, verify_client: 'required' };
    expect(() => load(rest(values))).toThrow(
      'restapi.cafile: found nothing, allowed: a file, because verify_client is required',
    );
  });

  it.each([{ 'Content-Length': 5 }, { 'X-Two Words': 'x' }, { 'X-Lines': 'a\nb' }])(
    'is a header such as %j',
    (http_extra_headers) => {
      expect(() => load(rest({ http_extra_headers }))).toThrow(
        /^.*http_extra_headers: found a map/m,
      );
    },
  );
});

describe('what is set', () => {
  it('and does nothing, or keeps members from asking each other, is said', () => {
    const { certfile, keyfile } = own;
    const says = (sections: Readonly<Record<string, Section>>) => load(sections).warnings;
    expect(says({ restapi: { ciphers: 'x', verify_client: 'optional' } })).toEqual([
      'restapi.ciphers has no effect: restapi.certfile is not set',
      'restapi.verify_client has no effect: restapi.certfile is not set',
    ]);
    expect(says({ ctl: { keyfile }, etcd3: { cacert: ca.file } })).toEqual([
      'etcd3.cacert has no effect: the protocol is http',
      'ctl.keyfile has no effect: ctl.certfile is not set',
    ]);
    const demanding = { certfile, keyfile, cafile: ca.file, verify_client: 'required' };
    expect(says({ restapi: demanding })).toEqual([expect.stringContaining('ctl.certfile is not')]);
    expect(says({ restapi: demanding, ctl: { certfile, keyfile } })).toEqual([]);
  });

  it('and cannot be kept secret, or kept to, is said', () => {
    const replication = { username: 'r', sslpassword: 'tell-nobody', gssencmode: 'require' };
    const { warnings } = load({ postgresql: { authentication: { replication } } });
    expect(warnings).toEqual([
      expect.stringContaining('authentication.replication.gssencmode is require'),
      expect.stringContaining('PostgreSQL shows it in its own log'),
    ]);
    expect(warnings.join()).not.toContain('tell-nobody');
  });

  it('as header fields: names in any case, those for https win there', () => {
    const { config } = load({
      restapi: {
        server_tokens: 'minimal',
        http_extra_headers: { 'X-Frame-Options': 'DENY', 'X-Own': 1 },
        https_extra_headers: { 'x-own': 'secure' },
      },
    });
    const common = { server: 'Patroni/4.1.4', 'x-frame-options': 'DENY' };
    expect(restHeaders(config, false)).toEqual({ ...common, 'x-own': '1' });
    expect(restHeaders(config, true)).toEqual({ ...common, 'x-own': 'secure' });
  });

  it('as a password is a secret', () => {
    const { config } = load({
      restapi: { keyfile_password: 'one' },
      ctl: { keyfile_password: 'two', authentication: { username: 'u', password: 'three' } },
    });
    expect(secretsOf(config)).toEqual(expect.arrayContaining(['one', 'two', 'three']));
  });
});
