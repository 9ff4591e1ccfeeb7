import { describe, expect, it } from 'vitest';
import { debianService, startedByService } from '../../src/postgres/services.ts';

describe('Debian’s service', () => {
  it.each([
    ['0::/system.slice/system-postgresql.slice/postgresql@15-main.service\n', 'postgresql@15-main'],
    ['1:name=systemd:/system.slice/postgresql@17\\x2dmain.service\n0::/\n', 'postgresql@17-main'],
    ['0::/system.slice/system-tenure.slice/tenure@main.service\n', null],
    ['0::/user.slice/user-1000.slice/session-1.scope\n', null],
    ['', null],
  ])('of %j is %s', (cgroups, service) => {
    expect(debianService(cgroups)).toBe(service);
  });

  it('is named with what to do about it', () => {
    expect(startedByService(7, 'postgresql@15-main')).toBe(
      'PostgreSQL, process 7, was started by the service postgresql@15-main, which may stop it or start it at any time; keep it from starting again: systemctl disable --now postgresql@15-main, and "manual" in /etc/postgresql/15/main/start.conf',
    );
    expect(startedByService(process.pid, null)).toBeNull();
  });
});
