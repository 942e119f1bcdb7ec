import type { OpsWorld } from '../../../infra/ops/world.ts';
import { epochMs } from '../../../shared/core/time.ts';
import { seededRandom } from '../../../shared/platform/random.ts';
import { providers } from '../../../shared/providers/registry.ts';

/** A world for the command tree alone, with what is printed in it. */
export function quietWorld(): { readonly world: OpsWorld; readonly said: { out: string; err: string } } {
  const said = { out: '', err: '' };
  return {
    said,
    world: {
      terminal: {
        write: async (text) => {
          said.out += text;
        },
        complain: (text) => {
          said.err += text;
        },
        colour: false,
        redraws: false,
        columns: null,
      },
      clock: () => epochMs(0),
      random: seededRandom(1),
      providers,
      user: 'operator',
      signal: new AbortController().signal,
      sleep: async () => undefined,
      readStdin: async () => new Uint8Array(),
    },
  };
}
