/**
 * The lock that makes an agent the only one of its node and instance: the kernel gives it to one process and takes it back when that
 * process dies, whatever it was doing.
 */

export interface NodeLock {
  /** The file that is locked is still the one that others would lock. */
  isOurs(): boolean;
  /** Removes the lock file and its folder, then lets go. Last deed of an agent. */
  removeAndRelease(): void;
}
