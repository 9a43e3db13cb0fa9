/**
 * The end of a turn of the event loop, for transports: what is due is called once all that was readable in this turn has been read.
 */

export const createEndOfTurn = (): ((callback: () => void) => void) => {
  let due: (() => void)[] = [];
  const runDue = () => {
    const callbacks = due;
    due = [];
    for (const callback of callbacks) callback();
  };
  return (callback) => {
    // `setImmediate` runs when all sockets that were readable in this turn have been read.
    if (due.length === 0) setImmediate(runDue);
    due.push(callback);
  };
};
