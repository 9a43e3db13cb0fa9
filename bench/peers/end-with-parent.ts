/** Imported by servers of the bench: they end when the pipe on their stdin does, so with the bench. */
process.stdin.on("end", () => process.exit(0));
process.stdin.on("error", () => process.exit(0));
process.stdin.resume();
