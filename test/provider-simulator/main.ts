import { readFileSync } from 'node:fs';
import { createSimulator, type SimulatorOptions } from './simulator.ts';

/**
 * The simulator as a process of its own, steered over the channel that `fork` opens: each message is a command,
 * each answer carries the command's number. Without a parent it listens on the port given and says where.
 */
interface Command {
  readonly id: number;
  readonly call: string;
  readonly args: readonly unknown[];
}

const optionsFile = process.argv[2];
const options: SimulatorOptions = optionsFile ? JSON.parse(readFileSync(optionsFile, 'utf8')) : {};
// Numbers of orders and callbacks go on over restarts, as a provider's would, so that none comes twice: one for each
// millisecond, since a run uses several in a second.
const numbersBefore = Date.now() - 1_700_000_000_000;
const simulator = await createSimulator({
  ...options,
  callbacks: { sentBefore: numbersBefore, ...options.callbacks },
});
simulator.books.sequence = numbersBefore;
const url = await simulator.listen(Number(process.argv[3] ?? 0));

const calls: Readonly<Record<string, (...args: never[]) => unknown>> = {
  addSim: simulator.addSim,
  addPackage: simulator.addPackage,
  emit: (...args: Parameters<typeof simulator.emit>) => {
    simulator.emit(...args);
  },
  startOrder: simulator.startOrder,
  expireOrder: simulator.expireOrder,
  orders: simulator.orders,
  requests: simulator.requests,
  setBalance: simulator.setBalance,
  setReachable: simulator.setReachable,
  setCallbackUrl: (...args: Parameters<typeof simulator.callbacks.setUrl>) =>
    simulator.callbacks.setUrl(...args),
  addFault: (...args: Parameters<typeof simulator.faults.add>) => {
    simulator.faults.add(...args);
  },
};

/** The parent may be gone by the time that an answer is ready: then nobody waits for it. */
function tellParent(answer: object): void {
  process.send?.(answer, () => undefined);
}

async function obey(command: Command): Promise<void> {
  try {
    const call = calls[command.call];
    if (!call) throw new Error(`the simulator has no call "${command.call}"`);
    tellParent({ id: command.id, ok: true, value: (await call(...(command.args as never[]))) ?? null });
  } catch (error) {
    tellParent({ id: command.id, ok: false, error: String(error) });
  }
}

if (process.send) {
  process.on('message', (command: Command) => void obey(command));
  process.on('disconnect', () => process.exit(0));
  // The parent decides when to stop; Ctrl-C reaches the whole group.
  process.on('SIGINT', () => undefined);
  tellParent({ id: 0, ok: true, value: url });
} else {
  process.stdout.write(`provider simulator on ${url}\n`);
}
