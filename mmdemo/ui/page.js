// What the page does without asking the server. One listener each on the document: results come and go.
(() => {
  if (window.mmdemo) return;
  window.mmdemo = true;
  const COOKIE = "mmdemo_language";
  const THEME = "mmdemo_theme";

  // The theme a person chose here before wins over the system's.
  const show = (theme) => document.body.classList.toggle("dark", theme === "dark");
  const chosen = localStorage.getItem(THEME);
  if (chosen) show(chosen);
  window.mmdemoTheme = () => {
    const next = document.body.classList.contains("dark") ? "light" : "dark";
    localStorage.setItem(THEME, next);
    show(next);
  };

  window.mmdemoLanguage = () => {
    const next = document.documentElement.lang.startsWith("zh") ? "en" : "zh";
    document.cookie = `${COOKIE}=${next}; path=/; max-age=31536000; samesite=lax`;
    location.reload();
  };

  window.mmdemoHelp = () => document.querySelector("#mm-guide dialog")?.showModal();

  // The drawer of jobs: shown and hidden here alone, so that what is hidden cannot be reached by the Tab key either.
  const drawer = () => document.querySelector("#mm-jobs");
  window.mmdemoJobs = () => {
    const open = drawer().toggleAttribute("data-mm-open");
    drawer().querySelector(":scope > button").click();
    const button = document.querySelector("#mm-jobs-open");
    button.setAttribute("aria-expanded", open);
    // What was hidden can have the focus from the next frame on.
    setTimeout(() => (open ? document.querySelector("#mm-jobs-close") : button).focus(), 60);
  };
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && drawer()?.hasAttribute("data-mm-open") && !document.querySelector("dialog[open]")) {
      window.mmdemoJobs();
    }
  });

  // A row or a word of a result plays its recording or video from there.
  const seek = (from) => {
    const near = from.closest("[data-mm-media]") || from.closest(".mm-panel");
    const player = near && near.querySelector("video, audio");
    if (!player) return;
    player.currentTime = Number(from.dataset.mmSeek);
    player.play().catch(() => {});
  };

  // Arrow keys go from word to word; the Tab key stops once a segment.
  document.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step || !event.target.classList?.contains("mm-word")) return;
    const words = [...event.target.closest("tbody").querySelectorAll(".mm-word")];
    words[words.indexOf(event.target) + step]?.focus();
    event.preventDefault();
  });

  // A word of an explanation shows where it looked.
  const pick = (word) => {
    const all = word.closest("[data-mm-why]");
    for (const one of all.querySelectorAll("[data-mm-word]")) one.setAttribute("aria-pressed", one === word);
    for (const one of all.querySelectorAll("[data-mm-panel]")) one.hidden = one.dataset.mmPanel !== word.dataset.mmWord;
  };
  document.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step || event.target.dataset?.mmWord === undefined) return;
    const words = [...event.target.closest("[data-mm-why]").querySelectorAll("[data-mm-word]")];
    const next = words[words.indexOf(event.target) + step];
    if (next) { next.focus(); pick(next); }
    event.preventDefault();
  });

  // A file that the browser cannot play says so in place of the player. Media events do not bubble: they are captured.
  const box = (event) => event.target.closest?.("#mm-video-player");
  const marked = (event, cannot) => { const at = box(event); if (at) at.toggleAttribute("data-mm-cannot", cannot); };
  document.addEventListener("error", (event) => {
    const media = event.target.closest?.("video, audio");
    if (media && (event.target === media || event.target === [...media.querySelectorAll("source")].pop())) {
      marked(event, true);
    }
  }, true);
  for (const type of ["loadstart", "loadedmetadata"]) {
    document.addEventListener(type, (event) => marked(event, false), true);
  }

  const copy = async (button) => {
    try {
      await navigator.clipboard.writeText(button.dataset.mmCopy);
    } catch {
      // No clipboard without HTTPS or permission: the old way works on any page.
      const area = document.createElement("textarea");
      area.value = button.dataset.mmCopy;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    const words = button.textContent;
    button.textContent = button.dataset.mmDone;
    setTimeout(() => { button.textContent = words; }, 1500);
  };

  document.addEventListener("click", (event) => {
    const target = event.target.closest("[data-mm-copy], [data-mm-seek], [data-mm-word]");
    if (!target) return;
    if (target.dataset.mmWord !== undefined) pick(target);
    else if (target.dataset.mmCopy !== undefined) copy(target);
    else seek(target);
  });

  // Files that are pasted, or dropped anywhere on a tab, go to the tab's drop area.
  const shown = () => [...document.querySelectorAll(".mm-drop")].find((area) => area.offsetParent !== null);
  const give = (files) => {
    const input = shown()?.querySelector('input[type="file"]');
    if (!input || !files.length) return false;
    const transfer = new DataTransfer();
    for (const file of files) transfer.items.add(file);
    input.files = transfer.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
    return true;
  };
  document.addEventListener("paste", (event) => {
    if (give([...(event.clipboardData?.files || [])])) event.preventDefault();
  });
  const carries = (event) => [...(event.dataTransfer?.types || [])].includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!carries(event) || !shown()) return;
    event.preventDefault();
    shown().classList.add("mm-over");
  });
  const leave = () => document.querySelectorAll(".mm-over").forEach((area) => area.classList.remove("mm-over"));
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) leave(); });
  document.addEventListener("drop", (event) => {
    leave();
    if (event.defaultPrevented || !carries(event) || event.target.closest("input, .mm-drop")) return;
    if (give([...event.dataTransfer.files])) event.preventDefault();
  });

  // Ctrl+Enter presses the one primary button of the tab.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    const asks = event.target.closest?.(".mm-question") && "mm-ask";
    const button = [...document.querySelectorAll(`.${asks || "mm-go"}`)].find((one) => one.offsetParent !== null);
    if (button) { event.preventDefault(); button.click(); }
  });
})();
