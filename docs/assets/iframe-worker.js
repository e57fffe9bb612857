// Search without a server: a browser starts no worker from file://, so that an iframe runs the worker's script here.
// The theme's script for the worker recognises the name IFrameWorker in the page.
"use strict";
(() => {
  if (location.protocol !== "file:") return;
  const frameText = (url) =>
    `<script>postMessage = (data) => frameElement.worker.dispatchEvent(new MessageEvent("message", { data }));<\/script>` +
    `<script src="${url}"><\/script>`;
  class IFrameWorker extends EventTarget {
    constructor(url) {
      super();
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      this.frame.worker = this;
      this.frame.srcdoc = frameText(url);
      this.loaded = new Promise((resolve) => this.frame.addEventListener("load", resolve));
      document.body.append(this.frame);
    }
    postMessage(data) {
      this.loaded.then(() => this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data })));
    }
    terminate() {
      this.frame.remove();
    }
  }
  window.IFrameWorker = window.Worker = IFrameWorker;
})();
