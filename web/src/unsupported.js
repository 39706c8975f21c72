// Loaded with `nomodule`: only by browsers too old for the page.
document.getElementById("message").textContent =
  "This browser is too old for this page. Use Safari 16.4, Chrome 91, Firefox 114 or newer.";
