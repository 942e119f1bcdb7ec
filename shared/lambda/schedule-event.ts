import { z } from 'zod';

/** What EventBridge Scheduler hands over: the input that the stack gives its schedules. */
export const scheduleLambdaEventSchema = z.object({
  schedule: z.string().min(1),
  /** When the run was due, ISO 8601. Filled in by the scheduler: <aws.scheduler.scheduled-time>. */
  scheduledAt: z.string().min(1),
});
export type ScheduleLambdaEvent = z.infer<typeof scheduleLambdaEventSchema>;
