// The commands to try, with this page's own origin, and their copy buttons.

export function showCommands() {
  const { origin } = window.location;
  const commands = {
    "command-publish": `curl -X POST ${origin}/publish -H 'content-type: application/json' -d '{"event":"hello","data":"Hello from curl"}'`,
    "command-subscribe": `curl -N '${origin}/events?channel=general'`,
  };
  const said = document.getElementById("copied");
  for (const button of document.querySelectorAll("button[data-copy]")) {
    const code = document.getElementById(button.dataset.copy);
    code.textContent = commands[button.dataset.copy];
    button.addEventListener("click", async () => {
      said.textContent = (await copy(code)) ? "Copied." : "Selected: copy it with the keyboard.";
    });
  }
}

/** There is no clipboard on a page that came over plain HTTP from another machine: then the text is selected. */
async function copy(code) {
  try {
    await navigator.clipboard.writeText(code.textContent);
    return true;
  } catch {
    window.getSelection().selectAllChildren(code);
    return false;
  }
}
