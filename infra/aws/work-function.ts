import { Policy, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import {
  Architecture,
  Code,
  Function as LambdaFunction,
  LoggingFormat,
  RecursiveLoop,
  Runtime,
  SystemLogLevel,
} from 'aws-cdk-lib/aws-lambda';
import type { ILogGroup } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import type { DurationMs } from '../../shared/core/time.ts';
import type { Bundle } from './bundles.ts';
import { toDuration } from './units.ts';

/** Hand-picked rights: these calls on these things, and no others. */
export interface Grant {
  readonly actions: readonly string[];
  readonly resources: readonly string[];
  readonly conditions?: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;
}

export interface WorkFunctionProps {
  readonly description: string;
  readonly bundle: Bundle;
  readonly timeout: DurationMs;
  readonly memoryMb: number;
  /** Typed by the function's env.ts where it is made. */
  readonly environment: Readonly<Record<string, string>>;
  readonly logs: ILogGroup;
  /**
   * True for a function that runs for each message: Lambda's own lines are then written for invocations that fail only.
   * What they say of the others stands in Lambda's metrics; at two lines each they would be a third of the log.
   * Source: Lambda developer guide, "Log-level filtering", system log level event mapping.
   */
  readonly runsOften: boolean;
  readonly grants: readonly Grant[];
}

/** One function with a role of its own that may do what its grants say. */
export class WorkFunction extends Construct {
  readonly fn: LambdaFunction;

  constructor(scope: Construct, id: string, props: WorkFunctionProps) {
    super(scope, id);
    const role = new Role(this, 'Role', { assumedBy: new ServicePrincipal('lambda.amazonaws.com') });
    const policy = new Policy(this, 'Rights', {
      roles: [role],
      statements: [
        ...props.grants.map(
          ({ actions, resources, conditions }) =>
            new PolicyStatement({
              actions: [...actions],
              resources: [...resources],
              ...(conditions === undefined ? {} : { conditions }),
            }),
        ),
        new PolicyStatement({
          actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
          resources: [props.logs.logGroupArn],
        }),
      ],
    });
    this.fn = new LambdaFunction(this, 'Function', {
      description: props.description,
      runtime: Runtime.NODEJS_24_X,
      architecture: Architecture.ARM_64,
      handler: 'index.handler',
      code: Code.fromAsset(props.bundle.folder),
      role,
      timeout: toDuration(props.timeout),
      memorySize: props.memoryMb,
      environment: { ...props.environment, NODE_OPTIONS: '--enable-source-maps' },
      logGroup: props.logs,
      loggingFormat: LoggingFormat.JSON,
      systemLogLevelV2: props.runsOften ? SystemLogLevel.WARN : SystemLogLevel.INFO,
      // A hint that comes back is our way of waiting. It ends by the work's own due times and limits, while Lambda's
      // loop detection would cut it after 16 rounds. Source: Lambda developer guide, "recursive loop detection".
      recursiveLoop: RecursiveLoop.ALLOW,
    });
    // Mappings and schedules need the rights to stand before they are made.
    this.fn.node.addDependency(policy);
  }
}
