import ARKit
import RealityKit
import UIKit

/// Puts labels where the things stand, and keeps them facing the camera.
final class LabelPlacer {
    private struct Label {
        let name: String
        let anchor: ARAnchor // ARKit moves it as it learns more about the room
        let entity: AnchorEntity
        let text: ModelEntity
    }

    private static let sameThing: Float = 0.12 // metres; labels nearer to each other are of one thing
    private static let above: Float = 0.06 // metres from the surface to the middle of the text
    private static let letters: CGFloat = 0.02 // metres high

    private weak var arView: ARView?
    private var labels: [Label] = []

    init(arView: ARView) {
        self.arView = arView
    }

    var count: Int { labels.count }

    /// Anchors a label to the surface in the middle of the view, the middle of what the model sees. Nothing happens
    /// where the same label stands already; another label of the same thing is replaced.
    func place(_ name: String) {
        guard let arView else { return }
        let middle = CGPoint(x: arView.bounds.midX, y: arView.bounds.midY)
        let hits = arView.raycast(from: middle, allowing: .estimatedPlane, alignment: .horizontal)
        guard let surface = hits.first?.worldTransform else { return }
        let near = labels.filter {
            simd_distance(position($0.anchor.transform), position(surface)) < Self.sameThing
        }
        if near.contains(where: { $0.name == name }) { return }
        near.forEach(remove)

        let anchor = ARAnchor(name: name, transform: surface)
        let entity = AnchorEntity(anchor: anchor)
        let text = makeText(readable(name))
        text.position = [0, Self.above, 0]
        entity.addChild(text)
        arView.session.add(anchor: anchor)
        arView.scene.addAnchor(entity)
        labels.append(Label(name: name, anchor: anchor, entity: entity, text: text))
    }

    func turn(towards camera: simd_float4x4) {
        let eye = position(camera)
        for label in labels {
            let here = label.text.position(relativeTo: nil)
            // look(at:) points the back of a text at its target, so the target is on the far side.
            label.text.look(at: 2 * here - eye, from: here, relativeTo: nil)
        }
    }

    func removeAll() {
        labels.forEach(remove)
    }

    private func remove(_ label: Label) {
        arView?.session.remove(anchor: label.anchor)
        label.entity.removeFromParent()
        labels.removeAll { $0.anchor === label.anchor }
    }

    private func makeText(_ words: String) -> ModelEntity {
        let mesh = MeshResource.generateText(words, extrusionDepth: 0.001, font: .boldSystemFont(ofSize: Self.letters))
        let text = ModelEntity(mesh: mesh, materials: [UnlitMaterial(color: .systemBlue)])
        text.position = -mesh.bounds.center // a text begins at its lower left corner
        let middle = ModelEntity()
        middle.addChild(text)
        middle.isAccessibilityElement = true
        middle.accessibilityLabel = words
        return middle
    }

    private func position(_ transform: simd_float4x4) -> SIMD3<Float> {
        [transform.columns.3.x, transform.columns.3.y, transform.columns.3.z]
    }
}
