/** Asking members over https: whose certificate is believed, and which one is shown (C-3.8). */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Authority, type Certificate } from '../scripts/lab/certificates.ts';
import { HttpPeers, type PeerTls } from '../src/peers.ts';
import { fixture } from './api/fixtures.ts';

const NAMES = { authority: 'ctl.cacert (/etc/ca.pem)', own: 'ctl.certfile (/etc/own.pem)' };
let folder: string;
let ours: Authority;
let theirs: Authority;
let client: Certificate;
const opened: (() => unknown)[] = [];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tenure-peers-'));
  ours = new Authority(join(folder, 'ours'));
  theirs = new Authority(join(folder, 'theirs'));
  client = ours.issue('client');
});
afterEach(() => {
  for (const close of opened.splice(0)) close();
});
afterAll(() => rmSync(folder, { recursive: true }));

const pem = ({ certfile, keyfile }: Certificate) => ({
  cert: readFileSync(certfile),
  key: readFileSync(keyfile),
});

async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  opened.push(() => server.close());
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}/patroni`;
}

/** A member that answers as a replica. @param clients whose certificates it demands */
function member(certificate: Certificate, clients?: Authority): Promise<string> {
  const demand = clients && { ca: readFileSync(clients.file), requestCert: true };
  return listening(
    createServer({ ...pem(certificate), ...demand }, (_request, response) =>
      response.end(fixture('replica-patroni.txt')),
    ),
  );
}

/** '' when there was an answer, else why not. */
async function asking(apiUrl: string, tls: Partial<PeerTls>): Promise<string> {
  const access = { credentials: null, tls: { insecure: false, names: NAMES, ...tls } };
  const peers = new HttpPeers(() => access);
  const [facts] = await peers.ask([{ name: 'n2', apiUrl }], 2_000);
  const [round] = await peers.failsafe([{ name: 'n2', apiUrl }], {}, 2_000);
  if (facts === undefined || facts.answer.known) return '';
  expect(round?.why).toContain(facts.answer.why);
  expect(await peers.liveness(apiUrl, 2_000), 'it is there, whoever it is').toBe(true);
  return facts.answer.why;
}

const trusting = (authority: Authority) => ({ ca: readFileSync(authority.file) });

describe('the certificate of the other side', () => {
  test('is verified', async () => {
    const url = await member(ours.issue('n2'));
    expect(await asking(url, trusting(ours))).toBe('');
    const unknown =
      /^its certificate is not signed by an authority of ctl\.cacert \(\/etc\/ca\.pem\): /;
    expect(await asking(url, trusting(theirs))).toMatch(unknown);
    expect(await asking(url, {})).toMatch(unknown);
  });

  test('has to be that of the address', async () => {
    const url = await member(ours.issue('n3', { names: ['db3.example.org'] }));
    expect(await asking(url, trusting(ours))).toMatch(
      /^its certificate cannot be accepted: .*altnames: IP: 127\.0\.0\.1 is not in/,
    );
    expect(await asking(url, { ...trusting(ours), insecure: true })).toBe('');
  });

  test('is not looked at with ctl.insecure', async () => {
    const url = await member(theirs.issue('n2'));
    expect(await asking(url, { insecure: true })).toBe('');
  });

  test('is missed where plain text is spoken', async () => {
    const plain = createTcpServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    });
    const peers = new HttpPeers();
    const [facts] = await peers.ask([{ name: 'n2', apiUrl: await listening(plain) }], 2_000);
    expect(facts?.answer).toEqual({ known: false, why: 'it does not speak TLS' });
  });
});

describe('our own certificate', () => {
  test('is shown, and one that is not accepted is named', async () => {
    const url = await member(ours.issue('n2'), ours);
    const trust = trusting(ours);
    expect(await asking(url, { ...trust, ...pem(client) })).toBe('');
    const turnedAway = /ctl\.certfile \(\/etc\/own\.pem\)/;
    expect(await asking(url, { ...trust, ...pem(theirs.issue('stranger')) })).toMatch(turnedAway);
    expect(await asking(url, trust)).toMatch(turnedAway);
  });
});
