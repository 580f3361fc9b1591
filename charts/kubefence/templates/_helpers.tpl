{{/* SPDX-License-Identifier: Apache-2.0 */}}
{{- define "kubefence.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimAll "-." -}}
{{- end -}}

{{- define "kubefence.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimAll "-." -}}
{{- else if contains (include "kubefence.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimAll "-." -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "kubefence.name" .) | trunc 50 | trimAll "-." -}}
{{- end -}}
{{- end -}}

{{/* Selector labels of one component: (dict "root" $ "component" "plugin") */}}
{{- define "kubefence.selector" -}}
app.kubernetes.io/name: {{ include "kubefence.name" .root | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* The plugin's selector, which cannot be changed: that of the DaemonSet that is there, if our pods have its
     labels. The Go implementation's has no component. */}}
{{- define "kubefence.pluginSelector" -}}
{{- $ours := include "kubefence.selector" (dict "root" . "component" "plugin") | fromYaml -}}
{{- $there := lookup "apps/v1" "DaemonSet" .Values.namespace (include "kubefence.fullname" .) | default dict -}}
{{- $labels := dig "spec" "selector" "matchLabels" dict $there -}}
{{- range $key, $value := $labels -}}
{{- if ne (get $ours $key) $value -}}
{{- fail (printf "DaemonSet %s/%s selects its pods by %s=%s, which ours do not have, and a selector cannot be changed. Nothing was changed. Run: kubectl delete daemonset -n %s %s; then the same helm command again" $.Values.namespace (include "kubefence.fullname" $) $key $value $.Values.namespace (include "kubefence.fullname" $)) -}}
{{- end -}}
{{- end -}}
{{- if $labels }}{{ toYaml $labels }}{{ else }}{{ toYaml $ours }}{{ end -}}
{{- end -}}

{{/* A RuntimeClass that is there with another handler, which cannot be changed either: (dict "name" ... "handler" ...) */}}
{{- define "kubefence.checkClass" -}}
{{- $there := lookup "node.k8s.io/v1" "RuntimeClass" "" .name | default dict -}}
{{- if and $there (ne (dig "handler" "" $there) .handler) -}}
{{- fail (printf "RuntimeClass %s has the handler %s, not %s, and a handler cannot be changed. Nothing was changed. Run: kubectl delete runtimeclass %s; then the same helm command again" .name (dig "handler" "" $there) .handler .name) -}}
{{- end -}}
{{- end -}}

{{- define "kubefence.labels" -}}
{{ include "kubefence.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: kubefence
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* Labels or annotations of the administrator's, without those that the object has of ours: (dict "theirs" ... "ours" YAML) */}}
{{- define "kubefence.further" -}}
{{- range $key, $value := .theirs }}
{{- if not (hasKey ($.ours | fromYaml) $key) }}
{{ dict $key $value | toYaml }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "kubefence.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag }}
{{- end -}}
{{- end -}}

{{/* Handlers that are sandboxed: those of the list, and the Kata class's and kata-setup's own once enabled. */}}
{{- define "kubefence.handlers" -}}
{{- $h := .Values.config.runtimeClasses -}}
{{- if .Values.runtimeClasses.kataNono.enabled -}}
{{- $h = append $h .Values.runtimeClasses.kataNono.handler -}}
{{- end -}}
{{- if .Values.kata.enabled -}}
{{- $h = append $h .Values.kata.handler -}}
{{- end -}}
{{- $h | uniq | toJson -}}
{{- end -}}

{{/* RuntimeClasses whose pods are sandboxed: the chart's own, and what the administrator adds. */}}
{{- define "kubefence.classNames" -}}
{{- $c := list -}}
{{- if .Values.runtimeClasses.nonoRunc.enabled }}{{ $c = append $c "nono-runc" }}{{ end -}}
{{- if .Values.runtimeClasses.kataNono.enabled }}{{ $c = append $c "kata-nono-sandbox" }}{{ end -}}
{{- concat $c .Values.admission.runtimeClassNames | uniq | toJson -}}
{{- end -}}

{{- define "kubefence.celList" -}}
[{{ range $i, $v := . }}{{ if $i }}, {{ end }}'{{ $v }}'{{ end }}]
{{- end -}}

{{- define "kubefence.classes" -}}
{{ include "kubefence.celList" (include "kubefence.classNames" . | fromJsonArray) }}
{{- end -}}

{{/* The newest version of MutatingAdmissionPolicy that the cluster serves; empty: none, or not wanted. */}}
{{- define "kubefence.mutatingVersion" -}}
{{- if .Values.admission.mutate -}}
{{- if .Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy" -}}v1
{{- else if .Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1beta1/MutatingAdmissionPolicy" -}}v1beta1
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The launcher on the host; the plugin takes a path only as it is written when it is plain. */}}
{{- define "kubefence.launcher" -}}
{{- clean .Values.config.nonoBinPath -}}
{{- end -}}

{{/* The NRI socket as the plugin sees it, and as it is on the host. */}}
{{- define "kubefence.socket" -}}
{{- default "/var/run/nri/nri.sock" .Values.config.socketPath -}}
{{- end -}}

{{- define "kubefence.hostSocket" -}}
{{- printf "%s/%s" (clean .Values.hostPaths.nriSocket) (base (include "kubefence.socket" .)) -}}
{{- end -}}

{{- define "kubefence.nriPlugins" -}}
{{- $default := "/opt/nri/plugins" -}}
{{- if eq .Values.nodeSetup.nri.pluginPath $default }}{{ .Values.hostPaths.nriPlugins }}{{ else }}{{ .Values.nodeSetup.nri.pluginPath }}{{ end -}}
{{- end -}}

{{/* What every pod of the chart has: (dict "root" $ "account" its service account, if not the default one).
     Each names its account: the API server keeps a second, older field with the name, which an upgrade that leaves the
     name out does not clear. */}}
{{- define "kubefence.podSpec" -}}
serviceAccountName: {{ .account | default "default" | quote }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
{{- with .root.Values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
nodeSelector: {{- merge (dict "kubernetes.io/os" "linux") .root.Values.nodeSelector | toYaml | nindent 2 }}
affinity:
  nodeAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      nodeSelectorTerms:
        - matchExpressions:
            - {key: kubernetes.io/arch, operator: In, values: [amd64, arm64]}
{{- with .root.Values.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- end -}}

{{- define "kubefence.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsUser: 0
runAsGroup: 0
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- with .Values.seLinuxType }}
seLinuxOptions: {type: {{ . | quote }}}
{{- end }}
{{- end -}}

{{/* Own profiles as files of a ConfigMap. */}}
{{- define "kubefence.profileFiles" -}}
{{- range $name, $profile := .Values.profiles }}
{{ $name }}.json{{ if kindIs "string" $profile }}c{{ end }}: {{ if kindIs "string" $profile }}{{ toJson $profile }}{{ else }}{{ toJson $profile | toJson }}{{ end }}
{{- else }}
{}
{{- end }}
{{- end -}}

{{/* Mistakes that the schema cannot see, each with its remedy. */}}
{{- define "kubefence.check" -}}
{{- if ne (dir .Values.config.nonoBinPath) (clean .Values.hostPaths.nonoHostDir) -}}
{{- fail (printf "config.nonoBinPath (%s) must lie directly in hostPaths.nonoHostDir (%s): set both to the same directory" .Values.config.nonoBinPath .Values.hostPaths.nonoHostDir) -}}
{{- end -}}
{{- if and .Values.nodeSetup.enabled (ne (trimPrefix "/var" (include "kubefence.hostSocket" .)) (trimPrefix "/var" (clean .Values.nodeSetup.nri.socketPath))) -}}
{{- fail (printf "nodeSetup.nri.socketPath (%s) is not the socket that the plugin connects to (%s, from hostPaths.nriSocket and config.socketPath): set them to the same path" .Values.nodeSetup.nri.socketPath (include "kubefence.hostSocket" .)) -}}
{{- end -}}
{{- if and (ne .Values.nodeSetup.nri.pluginPath "/opt/nri/plugins") (ne .Values.hostPaths.nriPlugins "/opt/nri/plugins") (ne .Values.nodeSetup.nri.pluginPath .Values.hostPaths.nriPlugins) -}}
{{- fail (printf "nodeSetup.nri.pluginPath (%s) and hostPaths.nriPlugins (%s) mean the same directory: set one of them, or both alike" .Values.nodeSetup.nri.pluginPath .Values.hostPaths.nriPlugins) -}}
{{- end -}}
{{- if and .Values.admission.enabled .Values.admission.enforce (not .Values.runtimeClasses.nonoRunc.enabled) -}}
{{- fail "admission.enforce gives pods the class nono-runc, but runtimeClasses.nonoRunc.enabled is false: enable the class, or set admission.enforce to false" -}}
{{- end -}}
{{- if and .Values.admission.enabled (semverCompare "<1.30.0-0" .Capabilities.KubeVersion.Version) -}}
{{- fail (printf "admission.enabled needs Kubernetes 1.30, this is %s: set admission.enabled to false (offline: helm template --kube-version)" .Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- if not (or .Values.image.tag .Values.image.digest) -}}
{{- fail "image.tag and image.digest are both empty: set one of them" -}}
{{- end -}}
{{- if and .Values.denials.enabled .Values.egress.enabled (eq (int .Values.denials.port) (int .Values.egress.metricsPort)) -}}
{{- fail (printf "denials.port and egress.metricsPort are both %d, and both are ports of the node: set another one" (int .Values.denials.port)) -}}
{{- end -}}
{{- range $name, $_ := .Values.profiles -}}
{{- if not (regexMatch "^[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}$" $name) -}}
{{- fail (printf "profiles: '%s' is no name of a profile: use letters, digits, '_' and '-', at most 64, and no '.json'" $name) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.runtimeClasses.nonoRunc.enabled (not (has "nono-runc" .Values.config.runtimeClasses)) -}}
{{- fail "runtimeClasses.nonoRunc.enabled creates the class nono-runc, but config.runtimeClasses does not list the handler nono-runc: its pods would run without the sandbox. Add it to the list or disable the class" -}}
{{- end -}}
{{- if .Values.runtimeClasses.nonoRunc.enabled -}}
{{- include "kubefence.checkClass" (dict "name" "nono-runc" "handler" "nono-runc") -}}
{{- end -}}
{{- if .Values.runtimeClasses.kataNono.enabled -}}
{{- include "kubefence.checkClass" (dict "name" "kata-nono-sandbox" "handler" .Values.runtimeClasses.kataNono.handler) -}}
{{- end -}}
{{- if and .Values.config.allowedProfiles (not (has .Values.config.defaultProfile .Values.config.allowedProfiles)) -}}
{{- fail (printf "config.defaultProfile (%s) is not in config.allowedProfiles: add it" .Values.config.defaultProfile) -}}
{{- end -}}
{{- if and .Values.kata.enabled (not .Values.runtimeClasses.kataNono.enabled) -}}
{{- fail "kata.enabled sets nodes up for Kata, but runtimeClasses.kataNono.enabled is false: no pod could use it. Enable both" -}}
{{- end -}}
{{- end -}}
