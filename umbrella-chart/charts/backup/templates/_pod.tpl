{{/*
Pods of backups. What differs is in files/: backup.sh and restore.sh; here is where they run and what they may.
*/}}

{{/* Context: dict "chart" <chart> "component" <name>. Metadata and the settings of a pod. */}}
{{- define "backup.pod-head" -}}
metadata:
  labels:
    {{- include "backup.selector" .chart | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
    app.kubernetes.io/part-of: payment-platform
    {{- if eq ((.chart.Values.global).mesh | default "none") "istio-ambient" }}
    istio.io/dataplane-mode: ambient
    {{- end }}
  annotations:
    # A sidecar would outlive the Job.
    sidecar.istio.io/inject: "false"
    linkerd.io/inject: disabled
spec:
  restartPolicy: Never
  serviceAccountName: {{ include "backup.fullname" .chart }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- $global := .chart.Values.global | default dict }}
  {{- $priority := merge (dict) ($global.priority | default dict) (dict "create" false) }}
  {{- with $priority.background | default (ternary (printf "%s-background" .chart.Release.Name) "" $priority.create) }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with ($global.scheduling).nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with ($global.scheduling).tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with ((.chart.Values.global).image).pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    # the image's own user
    runAsUser: 999
    runAsGroup: 999
    fsGroup: 999
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile:
      type: RuntimeDefault
{{- end }}

{{- define "backup.container-security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* Context: the chart. Where the database is; the user is the container's own matter. */}}
{{- define "backup.server" -}}
{{- $database := merge (dict) ((.Values.global).database | default dict) (dict "port" 5432 "name" "platform" "query" "") }}
- name: PGHOST
  value: {{ $database.host | default (printf "%s-postgres" .Release.Name) }}
- name: PGPORT
  value: {{ $database.port | quote }}
- name: PGDATABASE
  value: {{ $database.name }}
{{- /* asyncpg's `ssl=` is libpq's PGSSLMODE; there the certificates of the system are asked for by name */}}
{{- with regexFind "ssl(mode)?=[a-z-]+" $database.query }}
{{- $mode := regexReplaceAll "ssl(mode)?=" . "" }}
- name: PGSSLMODE
  value: {{ $mode }}
{{- if eq $mode "verify-full" }}
- name: PGSSLROOTCERT
  value: system
{{- end }}
{{- end }}
- name: BACKUP_DIR
  value: /backups
{{- end }}

{{/*
Context: dict "chart" <chart>, and "scratch" <size> for a container that fills an emptyDir: what lies there counts against the
pod's ephemeral storage.
*/}}
{{- define "backup.resources" -}}
{{- $resources := deepCopy .chart.Values.resources }}
{{- with .scratch }}{{ $_ := set $resources.limits "ephemeral-storage" . }}{{ end }}
{{- toYaml $resources }}
{{- end }}

{{/* Context: dict "chart" <chart> "files" <keys of the Secret>. */}}
{{- define "backup.volumes" -}}
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
- name: scripts
  configMap:
    name: {{ include "backup.fullname" .chart }}
- name: backups
  {{- if eq .chart.Values.target.kind "claim" }}
  persistentVolumeClaim:
    claimName: {{ include "backup.claim-name" .chart }}
  {{- else }}
  # on its way to the bucket, or from it
  emptyDir: {sizeLimit: {{ .chart.Values.target.claim.size }}}
  {{- end }}
{{- with .files }}
- name: secrets
  secret:
    secretName: {{ include "backup.secret-name" $.chart }}
    defaultMode: 0440
    items:
      {{- range . }}
      - {key: {{ . }}, path: {{ . }}}
      {{- end }}
{{- end }}
{{- if and (eq .chart.Values.target.kind "s3") .chart.Values.target.s3.existingSecret }}
- name: bucket
  secret:
    secretName: {{ .chart.Values.target.s3.existingSecret }}
    defaultMode: 0440
    items:
      - {key: credentials, path: credentials}
{{- end }}
{{- end }}

{{- define "backup.mounts" -}}
- {name: tmp, mountPath: /tmp}
- {name: scripts, mountPath: /etc/backup, readOnly: true}
- {name: backups, mountPath: /backups}
{{- end }}

{{/* Context: dict "chart" <chart> "name" <container> "script" <what it runs>. */}}
{{- define "backup.s3-container" -}}
{{- $s3 := .chart.Values.target.s3 }}
- name: {{ .name }}
  image: {{ include "backup.s3-image" .chart }}
  imagePullPolicy: {{ $s3.image.pullPolicy }}
  command: [/bin/sh, -euc]
  args:
    - {{ .script | quote }}
  env:
    - {name: HOME, value: /tmp}
    - {name: RCLONE_CONFIG, value: ""}
    - {name: RCLONE_CONFIG_TARGET_TYPE, value: s3}
    - {name: RCLONE_CONFIG_TARGET_PROVIDER, value: {{ ternary "Other" "AWS" (ne $s3.endpoint "") }}}
    - {name: RCLONE_CONFIG_TARGET_ENV_AUTH, value: "true"}
    {{- with $s3.endpoint }}
    - {name: RCLONE_CONFIG_TARGET_ENDPOINT, value: {{ . | quote }}}
    {{- end }}
    {{- with $s3.region }}
    - {name: RCLONE_CONFIG_TARGET_REGION, value: {{ . | quote }}}
    {{- end }}
    {{- if $s3.existingSecret }}
    - {name: AWS_SHARED_CREDENTIALS_FILE, value: /run/secrets/bucket/credentials}
    {{- end }}
  resources:
    {{- include "backup.resources" (dict "chart" .chart "scratch" .chart.Values.target.claim.size) | nindent 4 }}
  securityContext:
    {{- include "backup.container-security" .chart | nindent 4 }}
  volumeMounts:
    - {name: tmp, mountPath: /tmp}
    - {name: backups, mountPath: /backups}
    {{- if $s3.existingSecret }}
    - {name: bucket, mountPath: /run/secrets/bucket, readOnly: true}
    {{- end }}
{{- end }}

{{/* Context: dict "chart" <chart> "wait" <seconds>. The pod that backs up. */}}
{{- define "backup.pod" -}}
{{- $chart := .chart }}
{{- $s3 := eq $chart.Values.target.kind "s3" }}
{{- include "backup.pod-head" (dict "chart" $chart "component" "backup") }}
  {{ ternary "initContainers" "containers" $s3 }}:
    - name: backup
      image: {{ include "backup.image" $chart }}
      imagePullPolicy: {{ $chart.Values.image.pullPolicy }}
      command: [sh, /etc/backup/backup.sh]
      env:
        {{- include "backup.server" $chart | trim | nindent 8 }}
        - name: PGUSER
          value: platform_backup
        - name: PGPASSWORD_FILE
          value: /run/secrets/platform/platform_backup_password
        {{- if not $s3 }}
        - name: BACKUP_KEEP
          value: {{ $chart.Values.keep | quote }}
        {{- end }}
        {{- with .wait }}
        - name: WAIT_S
          value: {{ . | quote }}
        {{- end }}
      resources:
        {{- include "backup.resources" (dict "chart" $chart "scratch" ($s3 | ternary $chart.Values.target.claim.size "")) | nindent 8 }}
      securityContext:
        {{- include "backup.container-security" $chart | nindent 8 }}
      volumeMounts:
        {{- include "backup.mounts" $chart | nindent 8 }}
        - {name: secrets, mountPath: /run/secrets/platform, readOnly: true}
  {{- if $s3 }}
  containers:
    {{- $path := include "backup.s3-path" $chart }}
    {{- $prune := printf "rclone lsf --dirs-only %s | grep -E '^20[0-9]{2}-.*Z/$' | sort -r | tail -n +%d | while read -r old; do rclone purge \"%s/$old\"; done" $path (add1 (int $chart.Values.keep)) $path }}
    {{- include "backup.s3-container" (dict "chart" $chart "name" "upload" "script" (printf "rclone copy --immutable --exclude '.*/**' /backups %s\n%s" $path $prune)) | nindent 4 }}
  {{- end }}
  volumes:
    {{- include "backup.volumes" (dict "chart" $chart "files" (list "platform_backup_password")) | nindent 4 }}
{{- end }}

{{/* The init container that fetches the newest backup from the bucket; none for a claim. Context: the chart. */}}
{{- define "backup.fetch" -}}
{{- if eq .Values.target.kind "s3" }}
{{- $path := include "backup.s3-path" . }}
{{- include "backup.s3-container" (dict "chart" . "name" "fetch" "script" (printf "name=${BACKUP:-$(rclone lsf --dirs-only %s | grep -E '^20[0-9]{2}-.*Z/$' | sort | tail -n 1)}\nrclone copy \"%s/$name\" \"/backups/$name\"" $path $path)) }}
{{- end }}
{{- end }}

{{/* The pod that restores the newest backup into a Postgres of its own, and compares. Context: the chart. */}}
{{- define "backup.drill-pod" -}}
{{- include "backup.pod-head" (dict "chart" . "component" "drill") }}
  initContainers:
    {{- with include "backup.fetch" . }}
    {{- . | nindent 4 }}
    {{- end }}
    # A Postgres for the length of the drill: a native sidecar, on loopback, on a volume that goes with the pod.
    - name: postgres
      restartPolicy: Always
      image: {{ include "backup.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [postgres, -c, listen_addresses=127.0.0.1, -c, fsync=off, -c, full_page_writes=off, -c, wal_level=minimal, -c, max_wal_senders=0]
      env:
        - {name: POSTGRES_HOST_AUTH_METHOD, value: trust}
        - {name: PGDATA, value: /var/lib/postgresql/data}
      ports:
        - {name: postgres, containerPort: 5432}
      startupProbe:
        exec:
          command: [pg_isready, --quiet, --host, 127.0.0.1]
        periodSeconds: 2
        timeoutSeconds: 3
        failureThreshold: 60
      resources:
        {{- include "backup.resources" (dict "chart" . "scratch" .Values.drill.scratch) | nindent 8 }}
      securityContext:
        {{- include "backup.container-security" . | nindent 8 }}
      volumeMounts:
        - {name: scratch, mountPath: /var/lib/postgresql}
        - {name: run, mountPath: /var/run/postgresql}
        - {name: tmp, mountPath: /tmp}
  containers:
    - name: drill
      image: {{ include "backup.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      command: [sh, -euc, 'exec sh /etc/backup/restore.sh "${BACKUP:-}"']
      env:
        - {name: PGHOST, value: 127.0.0.1}
        - {name: PGUSER, value: postgres}
        - {name: BACKUP_DIR, value: /backups}
      resources:
        {{- include "backup.resources" (dict "chart" .) | nindent 8 }}
      securityContext:
        {{- include "backup.container-security" . | nindent 8 }}
      volumeMounts:
        {{- include "backup.mounts" . | nindent 8 }}
  volumes:
    {{- include "backup.volumes" (dict "chart" .) | nindent 4 }}
    - name: scratch
      emptyDir: {sizeLimit: {{ .Values.drill.scratch }}}
    - name: run
      emptyDir: {sizeLimit: 16Mi}
{{- end }}

{{/* The pod that puts a backup in the place of the live database. BACKUP names it; empty = the newest. Context: the chart. */}}
{{- define "backup.restore-pod" -}}
{{- include "backup.pod-head" (dict "chart" . "component" "restore") }}
  {{- with include "backup.fetch" . }}
  initContainers:
    {{- . | nindent 4 }}
  {{- end }}
  containers:
    - name: restore
      image: {{ include "backup.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      command: [sh, -euc, 'exec sh /etc/backup/restore.sh "${BACKUP:-}"']
      env:
        {{- include "backup.server" . | trim | nindent 8 }}
        - {name: PGUSER, value: postgres}
        - {name: PGPASSWORD_FILE, value: /run/secrets/platform/postgres_password}
        - {name: RESTORE_AS, value: replace}
      resources:
        {{- include "backup.resources" (dict "chart" .) | nindent 8 }}
      securityContext:
        {{- include "backup.container-security" . | nindent 8 }}
      volumeMounts:
        {{- include "backup.mounts" . | nindent 8 }}
        - {name: secrets, mountPath: /run/secrets/platform, readOnly: true}
  volumes:
    {{- include "backup.volumes" (dict "chart" . "files" (list "postgres_password")) | nindent 4 }}
{{- end }}
