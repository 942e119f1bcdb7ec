/** One thing that is measured: `run` does its work once. */
export interface Contender {
  readonly name: string;
  run(): unknown;
}

export interface Measured {
  readonly name: string;
  /** Microseconds of this process's CPU for one run, garbage collection included; median of the rounds. */
  readonly cpuUs: number;
  /** Microseconds on the clock for one run; median of the rounds. */
  readonly wallUs: number;
}

export interface Effort {
  /** Rounds in which each contender has one turn. At least 5, so that the median says something. */
  readonly rounds: number;
  /** About how long one turn lasts. */
  readonly turnMs: number;
  /** How many turns each contender has before the rounds. V8 goes on making receive's code faster for 30,000 runs. */
  readonly warmUpTurns: number;
}

export const fullEffort: Effort = { rounds: 7, turnMs: 250, warmUpTurns: 8 };
export const quickEffort: Effort = { rounds: 3, turnMs: 20, warmUpTurns: 0 };

/**
 * Measures all contenders in one run, turn by turn, each round in another order, so that a machine that is busy for a
 * while is busy for all of them. CPU time is what counts on a machine that others use too.
 */
export async function measure(
  contenders: readonly Contender[],
  effort: Effort,
): Promise<readonly Measured[]> {
  const turns = new Map<string, { readonly runs: number; readonly cpu: number[]; readonly wall: number[] }>();
  for (const contender of contenders) {
    for (let turn = 0; turn < effort.warmUpTurns; turn++)
      await timed(contender, await runsFor(contender, effort.turnMs));
    turns.set(contender.name, { runs: await runsFor(contender, effort.turnMs), cpu: [], wall: [] });
  }
  for (let round = 0; round < effort.rounds; round++) {
    const shift = round % contenders.length;
    for (const contender of [...contenders.slice(shift), ...contenders.slice(0, shift)]) {
      const turn = turns.get(contender.name);
      if (turn === undefined) continue;
      const { cpuUs, wallUs } = await timed(contender, turn.runs);
      turn.cpu.push(cpuUs / turn.runs);
      turn.wall.push(wallUs / turn.runs);
    }
  }
  return contenders.map(({ name }) => {
    const turn = turns.get(name);
    return { name, cpuUs: median(turn?.cpu ?? []), wallUs: median(turn?.wall ?? []) };
  });
}

async function timed(
  contender: Contender,
  runs: number,
): Promise<{ readonly cpuUs: number; readonly wallUs: number }> {
  const cpu = process.cpuUsage();
  const begun = process.hrtime.bigint();
  for (let i = 0; i < runs; i++) {
    const result = contender.run();
    if (result instanceof Promise) await result;
  }
  const wallUs = Number(process.hrtime.bigint() - begun) / 1_000;
  const { user, system } = process.cpuUsage(cpu);
  return { cpuUs: user + system, wallUs };
}

/** How many runs fill a turn; finding it out warms the code up. */
async function runsFor(contender: Contender, turnMs: number): Promise<number> {
  let runs = 1;
  for (let tries = 0; tries < 30; tries++) {
    const { wallUs } = await timed(contender, runs);
    if (wallUs >= turnMs * 500) return Math.max(1, Math.round((runs * turnMs * 1_000) / wallUs));
    runs *= 2;
  }
  return runs;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
