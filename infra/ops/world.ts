import type { Clock } from '../../shared/platform/clock.ts';
import type { Random } from '../../shared/platform/random.ts';
import type { Provider } from '../../shared/providers/provider.ts';

/** Where a command writes. */
export interface Terminal {
  /** Resolves when the reader can take more, so that a long listing never piles up in memory. */
  write(text: string): Promise<void>;
  /** Standard error: problems and progress. */
  complain(text: string): void;
  readonly colour: boolean;
  /** True when standard error is a terminal, where a line may be drawn over. */
  readonly redraws: boolean;
  /** Width in characters; null when nobody looks, and nothing is cut. */
  readonly columns: number | null;
}

/** Everything outside of the program that a command touches. */
export interface OpsWorld {
  readonly terminal: Terminal;
  readonly clock: Clock;
  readonly random: Random;
  readonly providers: readonly Provider[];
  /** Name of the operating system's user: who did it, unless --by says otherwise. */
  readonly user: string;
  /** Ctrl-C. Long work ends at its next safe point. */
  readonly signal: AbortSignal;
  /** Resolves early on Ctrl-C. */
  readonly sleep: (ms: number) => Promise<void>;
  readonly readStdin: () => Promise<Uint8Array>;
}
