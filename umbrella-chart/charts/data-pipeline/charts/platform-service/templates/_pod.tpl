{{/*
The pod of one process. Context "process" (see _names.tpl), and optionally "mounts": further volume mounts.
*/}}
{{- define "platform-service.pod" -}}
{{- $live := and (hasKey .chart.Values.processes (trimSuffix "-canary" .name)) (include (printf "%s.live-files" .chart.Chart.Name) .chart | fromYaml) -}}
{{- $claim := and .process.files (eq .chart.Values.files.kind "claim") -}}
{{- $bucket := and .process.files (eq .chart.Values.files.kind "s3") .chart.Values.files.s3.existingSecret -}}
metadata:
  annotations:
    # A changed setting rolls the pods: environment variables never change in a running one. There is no checksum of
    # the Secret: where it cannot be read (a dry run, GitOps) the sum would change and roll everything for nothing.
    checksum/config: {{ include "platform-service.environment" .chart | sha256sum }}
    {{- with include "platform-service.mesh-annotations" .chart | trim }}
    {{- . | nindent 4 }}
    {{- end }}
  labels:
    {{- include "platform-service.selector" . | nindent 4 }}
    {{- with include "platform-service.mesh-labels" .chart | trim }}
    {{- . | nindent 4 }}
    {{- end }}
    app.kubernetes.io/version: {{ include "platform-service.version" .chart | quote }}
    app.kubernetes.io/part-of: payment-platform
spec:
  {{- include "platform-service.pod-settings" .chart | nindent 2 }}
  # preStop, then the drain (35 s: the longest request and a little), then a margin.
  terminationGracePeriodSeconds: 50
  {{- with include "platform-service.scheduling" (dict "chart" .chart "tier" .process.tier) | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- with .process.topologySpread }}
  {{- $zones := (($.chart.Values.global).scheduling).spreadOverZones }}
  # Nodes first, zones second if there are any: a node without the label counts for none of these rules, the scheduler leaves
  # it out of all of them. Each ReplicaSet is spread by itself: counted together, the old pods of a rollout would say
  # where the new ones may not go, and these would stay where the old ones were not. A cordoned node does not count.
  topologySpreadConstraints:
    {{- range $key := ternary (list "kubernetes.io/hostname" "topology.kubernetes.io/zone") (list "kubernetes.io/hostname") (default false $zones) }}
    - maxSkew: 1
      topologyKey: {{ $key }}
      whenUnsatisfiable: {{ $.process.topologySpread }}
      nodeTaintsPolicy: Honor
      matchLabelKeys: [pod-template-hash]
      labelSelector:
        matchLabels:
          {{- include "platform-service.selector" $ | nindent 10 }}
    {{- end }}
  {{- end }}
  containers:
    - name: {{ .name }}
      image: {{ include "platform-service.image" .chart }}
      imagePullPolicy: {{ .chart.Values.image.pullPolicy }}
      args: {{ toJson .process.args }}
      envFrom:
        - configMapRef:
            name: {{ include "platform-service.fullname" .chart }}
      env:
        - name: APP_VERSION
          value: {{ include "platform-service.version" .chart | quote }}
        {{- with .process.port }}
        - name: PORT
          value: {{ . | quote }}
        {{- end }}
        {{- range $name, $value := .process.env }}
        - name: {{ $name }}
          value: {{ $value | toString | quote }}
        {{- end }}
      ports:
        {{- with .process.port }}
        - name: http
          containerPort: {{ . }}
        {{- end }}
        - name: ops
          containerPort: 9000
      # Three questions, three doors: started (once: schema migrated, dependencies answered), able to serve now, alive.
      # Only the last one restarts a container, and it asks nothing of Postgres or Redis.
      {{- $door := ternary "http" "ops" (hasPrefix "api" .name) }}
      startupProbe:
        httpGet: {path: /health/startup, port: {{ $door }}}
        periodSeconds: 2
        timeoutSeconds: 3
        failureThreshold: 120
      readinessProbe:
        httpGet: {path: /health/ready, port: {{ $door }}}
        periodSeconds: 5
        timeoutSeconds: 3
        failureThreshold: 2
      livenessProbe:
        httpGet: {path: /health/live, port: {{ $door }}}
        periodSeconds: 10
        timeoutSeconds: 3
        failureThreshold: 3
      {{- if .process.port }}
      lifecycle:
        preStop:
          # Endpoints still route here for a moment after the pod is told to go; native, so the image needs no shell.
          sleep: {seconds: 5}
      {{- end }}
      resources:
        {{- toYaml .process.resources | nindent 8 }}
      securityContext:
        {{- include "platform-service.container-security" . | nindent 8 }}
      volumeMounts:
        - name: tmp
          mountPath: /tmp
        - name: secrets
          mountPath: /run/secrets/platform
          readOnly: true
        {{- if $live }}
        # A folder, never a subPath: that would keep the content of the pod's first second.
        - name: live
          mountPath: /etc/platform/live
          readOnly: true
        {{- end }}
        {{- with .mounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        {{- if $claim }}
        - name: files
          mountPath: /var/lib/platform
        {{- end }}
        {{- if $bucket }}
        - name: bucket
          mountPath: /run/secrets/bucket
          readOnly: true
        {{- end }}
  volumes:
    - name: tmp
      emptyDir: {sizeLimit: 64Mi}
    {{- if $live }}
    - name: live
      configMap:
        name: {{ include "platform-service.fullname" .chart }}-live
    {{- end }}
    {{- if $claim }}
    - name: files
      persistentVolumeClaim:
        claimName: {{ .chart.Values.files.claim.existingClaim | default (printf "%s-files" (include "platform-service.fullname" .chart)) }}
    {{- end }}
    {{- if $bucket }}
    - name: bucket
      secret:
        secretName: {{ .chart.Values.files.s3.existingSecret }}
        defaultMode: 0440
        items:
          - {key: credentials, path: credentials}
    {{- end }}
    {{- include "platform-service.secret-volume" (dict "chart" .chart "files" .process.secretFiles) | nindent 4 }}
{{- end }}

{{/*
Context: dict "chart" <chart> "tier" <critical, ordinary or background>. Which pods go first when a node is full, where they may
run, and how soon a stateless one is given up on a node that no longer answers.
*/}}
{{- define "platform-service.scheduling" -}}
{{- $global := .chart.Values.global | default dict }}
{{- $priority := merge (dict) ($global.priority | default dict) (dict "create" false) }}
{{- $scheduling := $global.scheduling | default dict }}
{{- with get $priority (.tier | default "ordinary") | default (ternary (printf "%s-%s" .chart.Release.Name (.tier | default "ordinary")) "" $priority.create) }}
priorityClassName: {{ . }}
{{- end }}
{{- with $scheduling.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- $after := $scheduling.leaveSilentNodeAfterSeconds }}
{{- if or $scheduling.tolerations $after }}
tolerations:
  {{- with $scheduling.tolerations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- if $after }}
  {{- range $taint := list "not-ready" "unreachable" }}
  - {key: node.kubernetes.io/{{ $taint }}, operator: Exists, effect: NoExecute, tolerationSeconds: {{ $after }}}
  {{- end }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Context: the chart. What the pods of processes and of the migration have in common. */}}
{{- define "platform-service.pod-settings" -}}
serviceAccountName: {{ include "platform-service.fullname" . }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with ((.Values.global).image).pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{- define "platform-service.container-security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/*
Context: dict "chart" <chart> "files" <list of names>. Only the named keys of the Secret become files, each named like
the setting that it fills; the two database passwords are those of the service's own roles.
*/}}
{{- define "platform-service.secret-volume" -}}
{{- $schema := .chart.Values.database.schema }}
{{- $keys := dict "database_password" (printf "%s_app_password" $schema) "migration_database_password" (printf "%s_owner_password" $schema) }}
- name: secrets
  secret:
    secretName: {{ include "platform-service.secret-name" .chart }}
    defaultMode: 0440
    items:
      {{- range .files }}
      - key: {{ get $keys . | default . }}
        path: {{ . }}
      {{- end }}
{{- end }}
