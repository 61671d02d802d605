;;; codegen-wire.el --- codegen-lsp over eglot or lsp-mode -*- lexical-binding: t -*-

;;; Commentary:

;; What codegen needs of a language client, so that the rest need not know which one there is: the server of a buffer,
;; requests, positions, and members of JSON, which is plists in eglot and hash tables in lsp-mode.

;;; Code:

(require 'seq)

(defvar lsp--cur-workspace)
(declare-function eglot--TextDocumentIdentifier "ext:eglot" ())
(declare-function eglot--capabilities "ext:eglot" (server))
(declare-function eglot--lsp-position-to-point "ext:eglot" (position &optional marker))
(declare-function eglot--pos-to-lsp-position "ext:eglot" (&optional position))
(declare-function eglot--signal-textDocument/didChange "ext:eglot" ())
(declare-function eglot-current-server "ext:eglot" ())
(declare-function eglot-managed-p "ext:eglot" ())
(declare-function jsonrpc-async-request "jsonrpc" (connection method params &rest args))
(declare-function jsonrpc-notify "jsonrpc" (connection method params))
(declare-function lsp--client-server-id "ext:lsp-mode" (client))
(declare-function lsp--cur-position "ext:lsp-mode" ())
(declare-function lsp--position-to-point "ext:lsp-mode" (position))
(declare-function lsp--text-document-identifier "ext:lsp-mode" ())
(declare-function lsp--workspace-client "ext:lsp-mode" (workspace))
(declare-function lsp--workspace-p "ext:lsp-mode" (object))
(declare-function lsp-notify "ext:lsp-mode" (method params))
(declare-function lsp-request-async "ext:lsp-mode" (method params callback &rest args))
(declare-function lsp-workspaces "ext:lsp-mode" ())

(defun codegen-wire-server ()
  "The server of this buffer that has suggestions, or nil.
Eglot has one server for a buffer; of those of lsp-mode it is ours."
  (cond ((and (fboundp 'eglot-managed-p) (eglot-managed-p))
         (let ((server (eglot-current-server)))
           (and server (plist-member (eglot--capabilities server) :inlineCompletionProvider) server)))
        ((bound-and-true-p lsp-managed-mode)
         (seq-find (lambda (workspace) (eq 'codegen (lsp--client-server-id (lsp--workspace-client workspace))))
                   (lsp-workspaces)))))

(defun codegen-wire--lsp-mode-p (server)
  "Whether SERVER is a workspace of lsp-mode."
  (and (fboundp 'lsp--workspace-p) (lsp--workspace-p server)))

(defun codegen-wire-request (server method params on-result on-error)
  "Send a request to SERVER: the string METHOD with PARAMS, a plist.
Later ON-RESULT gets its result, or ON-ERROR a message; either is called in
whatever buffer is current then.  There is no answer from a server that ends."
  (let ((fail (lambda (problem) (funcall on-error (codegen-wire-get problem 'message)))))
    (if (codegen-wire--lsp-mode-p server)
        (let ((lsp--cur-workspace server))
          (lsp-request-async method params on-result :mode 'detached :error-handler fail))
      (when (eglot-managed-p) (eglot--signal-textDocument/didChange)) ; It would wait for half a second.
      (jsonrpc-async-request server (intern (concat ":" method)) params
                             :success-fn on-result :error-fn fail :timeout-fn #'ignore :timeout 60))))

(defun codegen-wire-notify (server method params)
  "Send a notification to SERVER: the string METHOD with PARAMS, a plist."
  (if (codegen-wire--lsp-mode-p server)
      (let ((lsp--cur-workspace server)) (lsp-notify method params))
    (jsonrpc-notify server (intern (concat ":" method)) params)))

(defun codegen-wire-execute (server command arguments on-result on-error)
  "Have SERVER execute a COMMAND, a string, with a sequence of ARGUMENTS.
For ON-RESULT and ON-ERROR see `codegen-wire-request'."
  (codegen-wire-request server "workspace/executeCommand"
                        (list :command command :arguments (vconcat arguments)) on-result on-error))

(defun codegen-wire-here (server)
  "This document and point as the first parameters of a request to SERVER."
  (if (codegen-wire--lsp-mode-p server)
      (list :textDocument (lsp--text-document-identifier) :position (lsp--cur-position))
    (list :textDocument (eglot--TextDocumentIdentifier) :position (eglot--pos-to-lsp-position (point)))))

(defun codegen-wire-point (server position)
  "The buffer position of a POSITION that came from SERVER."
  (if (codegen-wire--lsp-mode-p server)
      (lsp--position-to-point position)
    (eglot--lsp-position-to-point position)))

(defun codegen-wire-get (object &rest names)
  "A member of nested JSON: that of OBJECT with the first of NAMES, and so on."
  (dolist (name names object)
    (setq object (cond ((hash-table-p object) (gethash (symbol-name name) object))
                       ((consp object) (plist-get object (intern (format ":%s" name))))))))

(defun codegen-wire-list (array)
  "The elements of a JSON ARRAY, or the items of an object that has some."
  (cond ((vectorp array) (append array nil))
        ((and (consp array) (not (keywordp (car array)))) array)
        (array (codegen-wire-list (codegen-wire-get array 'items)))))

(defun codegen-wire-members (object)
  "The members of a JSON OBJECT as a sorted list of (NAME . VALUE)."
  (let (members)
    (if (hash-table-p object)
        (maphash (lambda (name value) (push (cons name value) members)) object)
      (while object
        (push (cons (substring (symbol-name (pop object)) 1) (pop object)) members)))
    (sort members (lambda (left right) (string< (car left) (car right))))))

(provide 'codegen-wire)
;;; codegen-wire.el ends here
