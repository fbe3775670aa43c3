/*
 * The machines' tests as one file: a mutant in a machine's chart means loading everything again, and this way that happens once and not once for every file.
 */
import '../machines/csc.test.ts'
import '../machines/display.test.ts'
import '../machines/ingest.test.ts'
import '../machines/gather.test.ts'
import '../machines/job.test.ts'
import '../machines/queue.test.ts'
import '../machines/reply.test.ts'
import '../machines/shelf.test.ts'
