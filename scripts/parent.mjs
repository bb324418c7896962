/**
 * Ends this process as by SIGTERM when the one that started it has gone, if npm runs us as one of its scripts. npm passes a
 * signal on to the shell that it runs a script in; a shell that does not replace itself by its command dies of it and
 * leaves the command behind: `kill` of npm would leave a hub, or a test run, with no one to end it.
 */
export function endWithParent() {
  if (process.env.npm_lifecycle_event === undefined || process.platform === "win32") return;
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    process.kill(process.pid, "SIGTERM");
  }, 250);
  timer.unref();
}
