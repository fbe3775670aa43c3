// Loaded before a program of the demo (`node --import`): ends it when its stdin ends, that is when whoever started it
// is gone. So the programs themselves need not know that they are part of a demo.

process.stdin.once('close', () => process.exit(1)).on('error', () => process.exit(1))
process.stdin.resume()
// Listening is not a reason to stay.
process.stdin.unref()
