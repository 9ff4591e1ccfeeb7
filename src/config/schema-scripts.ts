/** The operator's own programs, of one member or of all. */
import * as z from 'zod';
import { text } from './values.ts';

const callback = (when: string) =>
  text('a command line')
    .optional()
    .meta({ description: `Program to run ${when}.` });

const callbacksSchema = z
  .looseObject(
    {
      on_start: callback('when PostgreSQL has started'),
      on_stop: callback('when PostgreSQL has stopped'),
      on_restart: callback('when PostgreSQL was restarted'),
      on_role_change: callback(
        'when it is promoted or demoted; then neither on_start nor on_restart is run',
      ),
      on_reload: callback('when new settings have been applied'),
    },
    { error: 'a map' },
  )
  .meta({
    description:
      'Programs that are told what happens: COMMAND ACTION ROLE SCOPE, without a shell. Nothing waits for them; the next one ends the one that runs.',
  });

export const scripts = {
  pre_promote: text('a command line').optional().meta({
    description:
      'Program that is run before a promotion, without a shell: anything but exit code 0 within 60 s, and this member gives the leader key back and does not race for ttl.',
  }),
  before_stop: text('a command line').optional().meta({
    description:
      'Program that is run before a fast stop, without a shell. It has 60 s; the stop follows whatever it says.',
  }),
  callbacks: callbacksSchema.optional(),
};
