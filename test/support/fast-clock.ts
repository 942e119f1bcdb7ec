/**
 * Loaded into a child process with `--import`: its clock runs faster from a given moment on, and its long intervals
 * are as much shorter, so that leases and hidden messages run out within a test. Timers of seconds stay as they are.
 */
const since = Number(process.env.FAST_CLOCK_SINCE);
const speed = Number(process.env.FAST_CLOCK_SPEED);
if (!(since > 0 && speed >= 1)) throw new Error('FAST_CLOCK_SINCE and FAST_CLOCK_SPEED must be set');

const realNow = Date.now;
const realInterval = globalThis.setInterval;
const longMs = 10_000;

Date.now = () => Math.round(since + (realNow() - since) * speed);
Reflect.set(globalThis, 'setInterval', (run: () => void, ms: number) =>
  realInterval(run, ms > longMs ? ms / speed : ms),
);
