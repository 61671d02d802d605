;;; codegen.el --- Comments and docstrings become code, on your own machine -*- lexical-binding: t -*-

;; Version: 0.1.0
;; Package-Requires: ((emacs "28.1"))
;; Keywords: convenience, languages, tools
;; SPDX-License-Identifier: Apache-2.0

;;; Commentary:

;; Starts `codegen-lsp serve' with eglot or lsp-mode, and shows its suggestions as ghost text:
;;
;;   (require 'codegen)
;;   (codegen-setup)
;;   (add-hook 'python-mode-hook #'eglot-ensure)  ; or #'lsp
;;
;; Then write a comment or a docstring, begin the line below it, and the code appears behind point.
;; "Implement from docstring" is a code action: `eglot-code-actions', `lsp-execute-code-action'.

;;; Code:

(require 'codegen-ghost)
(require 'codegen-wire)

(defgroup codegen nil
  "Comments and docstrings become code, on your own machine."
  :group 'tools
  :prefix "codegen-")

(defcustom codegen-command '("codegen-lsp" "serve")
  "How the server is started."
  :type '(repeat string))

(defcustom codegen-languages
  '(("python" python-mode python-ts-mode)
    ("javascript" js-mode js-ts-mode js2-mode)
    ("javascriptreact" js-jsx-mode rjsx-mode)
    ("typescript" typescript-mode typescript-ts-mode)
    ("typescriptreact" tsx-ts-mode)
    ("go" go-mode go-ts-mode)
    ("rust" rust-mode rust-ts-mode)
    ("java" java-mode java-ts-mode)
    ("c" c-mode c-ts-mode)
    ("cpp" c++-mode c++-ts-mode)
    ("ruby" ruby-mode ruby-ts-mode)
    ("shellscript" sh-mode bash-ts-mode))
  "The languages for which the server is started, each with its major modes.
It knows those of the default alone well.  `codegen-setup' reads it."
  :type '(alist :key-type (string :tag "Language") :value-type (repeat symbol)))

(defcustom codegen-settings nil
  "The server's settings, as a property list of JSON.
For instance `(:run_examples t :index :json-false)'; the project's README
lists them.  A server is given them when it starts."
  :type '(plist :key-type symbol :value-type sexp))

(defcustom codegen-use-lsp-ghost-text nil
  "Whether lsp-mode shows the ghost text where it can, that is, from version 10.
It accepts no part of a suggestion, hides one that is typed on, and has
\\`C-<return>' to accept, a key that most terminals do not have."
  :type 'boolean)

(defvar codegen--enabled-p t "Whether anything is suggested; see `codegen-toggle'.")

(defvar eglot-server-programs)
(defvar lsp-inline-completion-idle-delay)
(defvar lsp-language-id-configuration)
(declare-function eglot--managed-mode "ext:eglot" (&optional arg))
(declare-function lsp-inline-completion-mode "ext:lsp-inline-completion" (&optional arg))
(declare-function lsp-register-client "ext:lsp-mode" (client))
(declare-function lsp-stdio-connection "ext:lsp-mode" (command))
(declare-function make-lsp-client "ext:lsp-mode" (&rest slots))

;;;###autoload
(defun codegen-setup ()
  "Have eglot and lsp-mode start the server, and show its ghost text.
In eglot, which has one server for a buffer, it comes first for the languages
of `codegen-languages'; in lsp-mode it is there beside others."
  (with-eval-after-load 'eglot (codegen--setup-eglot))
  (with-eval-after-load 'lsp-mode (codegen--setup-lsp-mode)))

;; eglot

(defun codegen--setup-eglot ()
  "Put the server before the others that eglot knows."
  (pcase-dolist (`(,language . ,modes) codegen-languages)
    (let ((named (mapcar (lambda (mode) (list mode :language-id language)) modes)))
      (add-to-list 'eglot-server-programs (cons named #'codegen--contact))))
  (advice-add 'eglot-client-capabilities :filter-return #'codegen--with-ghost-text)
  (add-hook 'eglot-managed-mode-hook #'codegen--follow))

(defun codegen--contact (&optional _interactive)
  "How eglot reaches the server."
  (append codegen-command (and codegen-settings (list :initializationOptions codegen-settings))))

(defun codegen--with-ghost-text (capabilities)
  "CAPABILITIES of eglot, and ours.
A server that knows of ghost text does not repeat it in a popup."
  (let ((document (copy-sequence (plist-get capabilities :textDocument))))
    (plist-put capabilities :textDocument
               (plist-put document :inlineCompletion '(:dynamicRegistration :json-false)))))

(defun codegen--follow ()
  "Show ghost text while the buffer has a server for it."
  (codegen-ghost-mode (if (codegen-wire-server) 1 -1)))

;; lsp-mode

(defun codegen--setup-lsp-mode ()
  "Register the server beside others."
  (pcase-dolist (`(,language . ,modes) codegen-languages)
    (dolist (mode modes)
      (unless (assq mode lsp-language-id-configuration)
        (add-to-list 'lsp-language-id-configuration (cons mode language) t))))
  (lsp-register-client
   (make-lsp-client :new-connection (lsp-stdio-connection (lambda () codegen-command))
                    :activation-fn #'codegen--wanted-p
                    :initialization-options (lambda () codegen-settings)
                    :server-id 'codegen
                    :add-on? t))
  (add-hook 'lsp-after-open-hook #'codegen--follow-lsp-mode))

(defun codegen--wanted-p (_file mode)
  "Whether the server is for buffers in MODE."
  (seq-some (lambda (language) (apply #'provided-mode-derived-p mode (cdr language))) codegen-languages))

(defun codegen--follow-lsp-mode ()
  "Show ghost text in a buffer that has our server, or have lsp-mode show it."
  (when (codegen-wire-server)
    (let ((theirs-p (and codegen-use-lsp-ghost-text (fboundp 'lsp-inline-completion-mode))))
      (when theirs-p (setq-local lsp-inline-completion-idle-delay codegen-ghost-delay))
      (when (fboundp 'lsp-inline-completion-mode) (lsp-inline-completion-mode (if theirs-p 1 -1)))
      (codegen-ghost-mode (if theirs-p -1 1)))))

;; Commands

(defun codegen-explain ()
  "Show how the last suggestion came about.
What the model was shown, what it said, what was done to it, and how long each
part took."
  (interactive)
  (codegen--execute "codegen.explainLast" (lambda (said) (codegen--display "explain" said)) [(:as "text")]))

(defun codegen-status ()
  "Show the server's version, model and state."
  (interactive)
  (codegen--execute "codegen.status" (lambda (said) (codegen--display "status" said))))

(defun codegen-restart ()
  "Stop the model and start it again."
  (interactive)
  (codegen--execute "codegen.restartHost"
                    (lambda (said) (message "codegen: the model is %s" (codegen-wire-get said 'state)))))

(defun codegen-toggle ()
  "Switch suggestions off, or on again, in this server."
  (interactive)
  (setq codegen--enabled-p (not codegen--enabled-p))
  (let ((settings (append (list :enabled (if codegen--enabled-p t :json-false)) codegen-settings)))
    (codegen-wire-notify (codegen--server) "workspace/didChangeConfiguration" `(:settings (:codegen ,settings))))
  (message "codegen: %s" (if codegen--enabled-p "on" "off")))

(defun codegen--server ()
  "The server of this buffer."
  (or (codegen-wire-server) (user-error "There is no codegen server in this buffer; see `codegen-setup'")))

(defun codegen--execute (command action &optional arguments)
  "Have the server execute COMMAND with ARGUMENTS, and call ACTION with its result."
  (codegen-wire-execute (codegen--server) command arguments action
                        (lambda (problem) (message "codegen: %s" problem))))

(defun codegen--display (name said)
  "Show what was SAID, a text or JSON, in a window; NAME is what it is."
  (if (member said '(nil ""))
      (message "codegen: nothing to show yet")
    (with-current-buffer (get-buffer-create (format "*codegen %s*" name))
      (let ((inhibit-read-only t))
        (erase-buffer)
        (if (stringp said) (insert said) (codegen--insert said ""))
        (goto-char (point-min)))
      (special-mode)
      (display-buffer (current-buffer)))))

(defun codegen--insert (value indent)
  "Insert JSON with INDENT: the members of VALUE each on a line."
  (if (vectorp value)
      (seq-doseq (each value) (codegen--insert-member "-" each indent))
    (pcase-dolist (`(,name . ,each) (codegen-wire-members value))
      (codegen--insert-member (concat name ":") each indent))))

(defun codegen--insert-member (name value indent)
  "Insert NAME and the JSON VALUE with INDENT; a text of lines is shown as lines."
  (let ((deeper (concat indent "  ")))
    (insert indent (propertize name 'face 'font-lock-keyword-face))
    (cond ((member value '(nil [])) (insert " none\n"))
          ((or (vectorp value) (consp value) (hash-table-p value))
           (insert "\n")
           (codegen--insert value deeper))
          ((and (stringp value) (string-search "\n" value))
           (insert " |\n" (replace-regexp-in-string "^" deeper (string-trim-right value "\n")) "\n"))
          (t (insert (format (if (floatp value) " %.4g\n" " %s\n")
                             (pcase value (:json-false "no") ('t "yes") (_ value))))))))

(provide 'codegen)
;;; codegen.el ends here
