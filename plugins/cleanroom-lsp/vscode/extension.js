// Starts the language server of cleanroom for Dockerfiles, and ends it.
const { workspace } = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

function activate() {
  const command = workspace.getConfiguration("cleanroom").get("path", "cleanroom-lsp");
  const documentSelector = [
    { language: "dockerfile" },
    { scheme: "file", pattern: "**/{Dockerfile,Containerfile,Singularity}*" },
    { scheme: "file", pattern: "**/*.{dockerfile,containerfile,def,singularity}" },
  ];
  client = new LanguageClient("cleanroom", "cleanroom", { command }, { documentSelector });
  return client.start();
}

function deactivate() {
  return client?.stop();
}

module.exports = { activate, deactivate };
