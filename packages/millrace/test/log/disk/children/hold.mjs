// Opens a store and keeps it: node hold.mjs LIBRARY FOLDER. Says "open", or the code of the error.
const [library, folder] = process.argv.slice(2);
const { openDiskLog } = await import(`${library}/log/disk/index.js`);
try {
  await openDiskLog(folder);
  process.stdout.write("open\n");
  setInterval(() => {}, 1000);
} catch (error) {
  process.stdout.write(`${error.code}\n`);
}
