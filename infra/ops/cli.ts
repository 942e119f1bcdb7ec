import { Command, CommanderError } from 'commander';
import { QueueError } from '../../shared/queue/errors.ts';
import { StoreError } from '../../shared/store/errors.ts';
import { StartError } from '../local/data-folder.ts';
import { withGlobalOptions } from './command.ts';
import { addActionCommands } from './commands/actions.ts';
import { addAuditCommand } from './commands/audit.ts';
import { addBacktestCommands } from './commands/backtest.ts';
import { addCompletionCommand } from './commands/completion.ts';
import { addDeadLetterCommands } from './commands/dead-letters.ts';
import { addDoctorCommand } from './commands/doctor.ts';
import { addEventCommands } from './commands/events.ts';
import { addExplainCommand } from './commands/explain.ts';
import { addExportCommand } from './commands/export.ts';
import { addFindingCommands } from './commands/findings.ts';
import { addProveCommand } from './commands/prove.ts';
import { addQuarantineCommands } from './commands/quarantine.ts';
import { addReplayCommand } from './commands/replay.ts';
import { addSchemaCommands } from './commands/schema.ts';
import { addSecretCommands } from './commands/secrets.ts';
import { addSendCommand } from './commands/send.ts';
import { addSimCommands } from './commands/sim.ts';
import { addSpendCommand } from './commands/spend.ts';
import { addStopCommands } from './commands/stops.ts';
import { exitCodes, OpsError } from './failure.ts';
import type { OpsWorld } from './world.ts';

const exitCodeText = `
Exit codes:
  0  done
  1  failed: the line on standard error says why
  2  the command line is wrong
  3  nothing of that id, file or range exists
  4  not allowed now, or someone else was first
  5  the store, the queues or the system can't be reached
  130  interrupted with Ctrl-C; nothing is half done`;

/** Runs one command line and returns the exit code. Never throws. */
export async function runCli(argv: readonly string[], world: OpsWorld): Promise<number> {
  try {
    await buildProgram(world).parseAsync([...argv], { from: 'user' });
    return world.signal.aborted ? exitCodes.interrupted : exitCodes.ok;
  } catch (error) {
    return tellFailure(error, world);
  }
}

/** The whole tree of commands. */
export function buildProgram(world: OpsWorld): Command {
  const { terminal } = world;
  const program = withGlobalOptions(new Command('simhook'))
    .description(
      'Operates simhook: callbacks, timelines, parked purchases, dead letters, replay, stop and resume.',
    )
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void terminal.write(text),
      writeErr: (text) => terminal.complain(text),
      getOutHelpWidth: () => terminal.columns ?? 100,
      getErrHelpWidth: () => terminal.columns ?? 100,
      getOutHasColors: () => terminal.colour,
      getErrHasColors: () => terminal.colour,
    })
    .addHelpText('after', exitCodeText);
  addSendCommand(program, world);
  addExplainCommand(program, world);
  addEventCommands(program, world);
  addSimCommands(program, world);
  addActionCommands(program, world);
  addStopCommands(program, world);
  addDeadLetterCommands(program, world);
  addReplayCommand(program, world);
  addBacktestCommands(program, world);
  addSpendCommand(program, world);
  addAuditCommand(program, world);
  addFindingCommands(program, world);
  addQuarantineCommands(program, world);
  addSecretCommands(program, world);
  addProveCommand(program, world);
  addExportCommand(program, world);
  addDoctorCommand(program, world);
  addSchemaCommands(program, world);
  addCompletionCommand(program, world);
  return program;
}

/** One clear line for what a user can mend; the whole trace for what only a developer can. */
function tellFailure(error: unknown, world: OpsWorld): number {
  if (error instanceof CommanderError) {
    // Commander has said what is wrong already; asking for help is no fault.
    return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  }
  const [code, text] = explain(error);
  world.terminal.complain(`simhook: ${text}\n`);
  return exitCodes[code];
}

function explain(error: unknown): readonly [Exclude<keyof typeof exitCodes, 'ok'>, string] {
  if (error instanceof OpsError) return [error.kind, error.message];
  if (error instanceof StartError) return ['failed', error.message];
  if (error instanceof StoreError || error instanceof QueueError) {
    return [error.code === 'unavailable' ? 'unreachable' : 'failed', error.message];
  }
  return ['failed', error instanceof Error ? (error.stack ?? error.message) : String(error)];
}
