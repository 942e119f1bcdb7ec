import { RemovalPolicy } from 'aws-cdk-lib';
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import type { DurationMs } from '../../shared/core/time.ts';
import { topology } from '../topology.ts';
import { toDuration } from './units.ts';

export interface QueuePairProps {
  readonly visibility: DurationMs;
}

/**
 * A standard queue of hints and the dead-letter queue behind it. Both stay when the stack goes: what lies in them
 * explains what happened. Names are left to CloudFormation, so that a provider that comes back gets new queues and the
 * sweep fills them from the table.
 */
export class QueuePair extends Construct {
  readonly queue: Queue;
  readonly dead: Queue;

  constructor(scope: Construct, id: string, { visibility }: QueuePairProps) {
    super(scope, id);
    this.dead = deadLetterQueue(this, 'Dead');
    this.queue = new Queue(this, 'Queue', {
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      visibilityTimeout: toDuration(visibility),
      retentionPeriod: toDuration(topology.queue.retention),
      deadLetterQueue: { queue: this.dead, maxReceiveCount: topology.queue.receivesMax },
      removalPolicy: RemovalPolicy.RETAIN,
    });
  }
}

/** A queue for what failed, kept for the longest time that SQS allows. */
export function deadLetterQueue(scope: Construct, id: string): Queue {
  return new Queue(scope, id, {
    encryption: QueueEncryption.SQS_MANAGED,
    enforceSSL: true,
    retentionPeriod: toDuration(topology.queue.deadLetterRetention),
    removalPolicy: RemovalPolicy.RETAIN,
  });
}
